"""`python -m powertune` and the console script."""

import os
import sys
from contextlib import suppress


def run() -> None:
    """Run the command line and end the process with its code."""
    from powertune.cli.main import main  # noqa: PLC0415 - importing this module must cost nothing

    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # whoever read it may be gone, or a handler has put something in its place
            stream.flush()
    # At once: threads and exit functions that a handler left behind must not keep the process, nor print after us.
    os._exit(code)


if __name__ == "__main__":
    run()
