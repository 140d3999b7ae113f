"""One of several things that can be chosen, as a menu shows it."""

from typing import NamedTuple


class Choice(NamedTuple):
    """A value, its text for people, and whether it is the one that holds now."""

    value: str
    text: str
    chosen: bool
