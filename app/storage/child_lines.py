"""What a child process tells the window: JSON objects, one a line, on standard output (see workers.jobs.ChildJob)."""

import sys

import msgspec


def print_line(event: str, **content: object) -> None:
    """{"event": event, ...}."""
    _print({"event": event, **content})


def print_error(message: str) -> None:
    """{"error": message}: the child's last word to the user."""
    _print({"error": message})


def _print(content: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
    sys.stdout.buffer.flush()
