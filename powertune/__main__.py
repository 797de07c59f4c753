"""`python -m powertune` and the console script."""

import sys


def run() -> None:
    """Run the command line and exit with its code."""
    from powertune.cli.main import main  # noqa: PLC0415 - importing this module must cost nothing

    sys.exit(main())


if __name__ == "__main__":
    run()
