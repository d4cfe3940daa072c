"""Run `python -m apiclient --help`."""

import sys

from apiclient.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
