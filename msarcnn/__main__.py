"""Entry of `python -m msarcnn`."""

import sys

from msarcnn.command_line import main

if __name__ == "__main__":
    sys.exit(main())
