"""One file per kind of source. A module here may list named sources in `SOURCES`."""
