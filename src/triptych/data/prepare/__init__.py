"""From a folder, a zip or a tar to one array on the disk."""
