"""`python -m triptych`: the command line. What lies in the current folder is not imported, as with `triptych`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, put there by -m; this package is found by its own place from here on
    from triptych.cli import main

    sys.exit(main())
