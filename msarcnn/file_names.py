"""Which file of an image folder a data set means by a name: other separators, escapes, places of another machine."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from msarcnn.image_files import UnsafePathError, safe_relative_path

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SCHEME = re.compile(r"^[A-Za-z][\w+.-]*://[^/]*")


class FoundFile(NamedTuple):
    """name: relative to the image folder, "/"-separated. by_end: only the end of the stated name says so."""

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
    is, or where the name leads out of any image folder: only its end can say what is meant then.
    """
    end = _relative(stated)
    if end is None:
        return None
    leads_out = end != stated
    for spelling in _spellings(end):
        if _is_file(root, spelling):
            return FoundFile(spelling, leads_out)
    parts = end.replace("\\", "/").split("/")
    for start in range(1, len(parts)):
        inside = parts[start - 1] == root.name
        if not (inside or leads_out):
            continue
        for spelling in _spellings("/".join(parts[start:])):
            if _is_file(root, spelling):
                return FoundFile(spelling, not inside)
    return None


def _relative(stated: str) -> str | None:
    try:
        return str(safe_relative_path(stated))
    except UnsafePathError:
        return relative_end(stated)


def _spellings(name: str) -> Iterator[str]:
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)
    plain = [one for text in (name, unescaped) for one in (text, text.replace("\\", "/"))]
    every = [form for text in (*plain, *map(unquote, plain)) for form in (text, _nfc(text), _nfd(text))]
    return iter(dict.fromkeys(every))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _is_file(root: Path, name: str) -> bool:
    try:
        return (root / safe_relative_path(name)).is_file()
    except (UnsafePathError, OSError, ValueError):
        return False
