"""Damage in image files that Pillow's decoders pass over."""

import io
import re
import struct
import zlib
from typing import BinaryIO

from PIL import Image

_JPEG_MARK = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
"""A mark; 0xff 0x00 is a pixel byte of its own."""
_JPEG_END = b"\xd9"
_JPEG_LONE = {bytes([mark]) for mark in (0x01, *range(0xD0, 0xD9))}
"""Marks without a segment behind them: restarts within the pixels, mostly."""


def refuse_damage(image: Image.Image, file: BinaryIO) -> None:
    """Finds damage that Pillow's decoders pass over.

    They do not look at the checksums of a PNG's pixels, and take the zeros at the end of a JPEG whose copying
    was broken off for pixels. (Wrong bits within the pixels of a JPEG cannot be told from right ones.) Raises
    ValueError.
    """
    if image.format == "PNG":
        scan_png(file, check=True)
    elif image.format in ("JPEG", "MPO"):
        place = file.tell()
        file.seek(0)
        data = file.read()
        file.seek(place)
        if not _jpeg_ends(data):
            raise ValueError("JPEG without its end")


def _jpeg_ends(data: bytes) -> bool:
    """Walks over the segments of a JPEG to its end mark; what a camera appends behind it may hold anything."""
    place = 2
    while match := _JPEG_MARK.search(data, place):
        place = match.end()
        if match[1] == _JPEG_END:
            return True
        if match[1] not in _JPEG_LONE:
            place += int.from_bytes(data[place : place + 2], "big")
    return False


def scan_png(file: BinaryIO, check: bool) -> bool:
    """Walks over the chunks of a PNG; returns whether metadata follows the pixels.

    With check, raises ValueError at a wrong checksum or a missing end. The place in the file is kept.
    """
    place = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(8)
    seen_pixels = late_metadata = False
    try:
        while True:
            head = file.read(8)
            if len(head) < 8:
                if check:
                    raise ValueError("PNG without its end")
                return late_metadata
            length, kind = struct.unpack(">I4s", head)
            if file.tell() + length + 4 > end:
                if check:
                    raise ValueError(f"PNG chunk {kind!r} is cut off")
                return late_metadata
            if check:
                _check_png_chunk(file, kind, length)
            else:
                file.seek(length + 4, io.SEEK_CUR)
            seen_pixels = seen_pixels or kind == b"IDAT"
            late_metadata = late_metadata or (seen_pixels and kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"))
            if kind == b"IEND":
                return late_metadata
    finally:
        file.seek(place)


def _check_png_chunk(file: BinaryIO, kind: bytes, length: int) -> None:
    checksum = zlib.crc32(kind)
    while length:
        data = file.read(min(length, 1 << 20))
        if not data:
            raise ValueError(f"PNG chunk {kind!r} is cut off")
        checksum = zlib.crc32(data, checksum)
        length -= len(data)
    if file.read(4) != checksum.to_bytes(4, "big"):
        raise ValueError(f"PNG chunk {kind!r} has a wrong checksum")
