"""The machine: files, locks. Knows no data set and no network."""
