"""`triptych` and `python -m triptych`: the command line. What lies in the current folder is not imported by either."""

import signal
import sys


def start() -> int:
    """Run the command of the process; its exit status. From the first import on an interrupt is a line."""
    try:
        from triptych.cli import main

        status = main()
    except KeyboardInterrupt:
        from triptych.system.console import say

        say("interrupted; the same command begins again", stderr=True)
        status = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done or given up: nobody interrupts the tidying up
    return status


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, put there by -m; this package is found by its own place from here on
    sys.exit(start())
