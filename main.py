"""Starts the pose labeller: `python main.py [PATH...]`."""

import sys

from app.application import main

if __name__ == "__main__":
    sys.exit(main())
