"""What every exporter's command line has in common."""

import argparse
from pathlib import Path
from typing import get_args

import msgspec

from app.storage.snapshot import Only


def export_parser(module: str, description: str, only: Only) -> argparse.ArgumentParser:
    """A parser of PROJECT, OUT, --only and --listed; `only` is the default."""
    parser = argparse.ArgumentParser(prog=module, description=description)
    parser.add_argument("project", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=get_args(Only), default=only)
    parser.add_argument(
        "--listed", type=read_keys, default=(), metavar="FILE", help="JSON array of the images' keys, for --only listed"
    )
    return parser


def read_keys(file: str) -> tuple[int, ...]:
    """The keys in a file; what is wrong with it is a usage error of the command line."""
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=tuple[int, ...])
    except (OSError, msgspec.MsgspecError) as error:
        raise argparse.ArgumentTypeError(f"{file}: {error}") from error
