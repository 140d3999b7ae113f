"""Which file of an image folder a data set means by a name: other separators, escapes, places of another machine."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from msarcnn.image_files import UnsafePathError, safe_relative_path

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SCHEME = re.compile(r"^[A-Za-z][\w+.-]*://[^/]*")
_ANYWHERE = """
    image img photo picture pic frame file data dataset media raw jpg jpeg jpegimage png rgb color colour train training
    val valid validation test testing cam camera video day part set batch folder label annotation default upload all
"""
"""Folders that are called so in every session, on every machine: they do not tell one from another."""
_NUMBER = re.compile(r"[\W_]*\d{0,4}$")


class FoundFile(NamedTuple):
    """name: relative to the image folder, "/"-separated. by_end: the end of the stated name alone says so."""

    name: str
    by_end: bool = False


def relative_end(stated: str) -> str | None:
    """What remains of a name that leads elsewhere (absolute, a drive, a URL, `..`) without its beginning.

    It may still begin with folders of another machine, see `find_file`. None when nothing safe remains.
    """
    parts = re.split(r"[\\/]+", _SCHEME.sub("", stated))
    elsewhere = [at for at, part in enumerate(parts) if part == ".." or part.endswith(":")]
    parts = parts[elsewhere[-1] + 1 :] if elsewhere else parts
    try:
        return str(safe_relative_path("/".join(part for part in parts if part not in ("", "."))))
    except UnsafePathError:
        return None


def find_file(root: Path, stated: str) -> FoundFile | None:
    """The file of an image folder that is meant by a data set's name; None when it is not there.

    Tried are the name as it is, "/" for its backslashes, its %20 and \\u00e4 decoded, its accents composed and
    decomposed (Unicode NFC, NFD). Folders at the beginning are dropped where the last of them is called as `root`
    is, or where the name leads out of any image folder: only its end can say what is meant then, unless the folders
    in front of it are those of the file, see `_is_same_place`.
    """
    try:
        end, leads_out = str(safe_relative_path(stated)), False
    except UnsafePathError:
        end, leads_out = relative_end(stated) or "", True
    parts = end.replace("\\", "/").split("/")
    for start in range(len(parts)):
        if start and not (leads_out or _is_same_name(parts[start - 1], root.name)):
            continue
        # The name as it is, too: a backslash may be a letter of it.
        for spelling in _spellings("/".join(parts[start:]) if start else end):
            if name := _existing(root, spelling):
                exact = not (start or leads_out) or _is_same_place(parts[:-1], [*root.parts, *name.split("/")[:-1]])
                return FoundFile(name, not exact)
    return None


def _is_same_place(stated: Sequence[str], real: Sequence[str]) -> bool:
    """Whether the folders of a stated place are the real ones, as far as both tell, from the end.

    They are when one has the same name that is not called so everywhere ("images", "train", "1"), before any differs;
    or when all of those that are stated have the same name.
    """
    for there, here in zip(reversed(stated), reversed(real), strict=False):
        if not _is_same_name(there, here):
            return False
        if (word := _NUMBER.sub("", there.lower()).removesuffix("s")) and word not in _ANYWHERE.split():
            return True
    return 0 < len(stated) <= len(real)


def _is_same_name(stated: str, real: str) -> bool:
    return _nfc(real) in map(_nfc, _spellings(stated))


def _spellings(name: str) -> Iterator[str]:
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    plain = [one for text in (name, unescaped) for one in (text, text.replace("\\", "/"))]
    every = [form for text in (*plain, *map(unquote, plain)) for form in (text, _nfc(text), _nfd(text))]
    return iter(dict.fromkeys(every))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _existing(root: Path, name: str) -> str:
    """The name without "." and doubled separators when there is such a file; else ""."""
    try:
        path = safe_relative_path(name)
        return str(path) if (root / path).is_file() else ""
    except (UnsafePathError, OSError, ValueError):
        return ""
