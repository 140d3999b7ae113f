"""The one error about model files, and what other libraries' errors say; no torch."""

from pathlib import Path


class CheckpointError(ValueError):
    """A model file that cannot be used; the message names the file, the reason and the cure."""

    def __init__(self, path: Path | str, reason: str, cure: str) -> None:
        super().__init__(f"{path}: {reason}. {cure}.")


def first_line(error: BaseException) -> str:
    """What an error says, without the heading and the details of PyTorch's lists."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0]) if lines else type(error).__name__
