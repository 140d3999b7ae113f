"""Messages between the window and its children: plain data over a pipe, never pickle.

A message is a dict of None, numbers, str, bytes, lists, dicts and numpy arrays. It travels as a length, the
msgpack text, and then the bytes of its arrays, which are read straight into their memory: a 12-megapixel
image is copied by the kernel only. Nothing that a child sends can run code in the window.
"""

import struct
from typing import Any, BinaryIO

import msgspec
import numpy as np

Message = dict[str, Any]

_LENGTH = struct.Struct("!Q")
_ARRAY = 1
_LONGEST_TEXT = 1 << 30
_LARGEST_ARRAY = 1 << 33


class WireError(Exception):
    """The other end sent something that is no message: it is broken and has to be restarted."""


def write_message(stream: BinaryIO, message: Message) -> None:
    """Writes one message and flushes. Raises OSError when the other end is gone, TypeError for foreign objects."""
    arrays: list[np.ndarray] = []

    def replace_array(value: object) -> object:
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise TypeError(f"{type(value).__name__} is not plain data: send numbers, text, bytes or numeric arrays")
        arrays.append(np.ascontiguousarray(value))
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((value.dtype.str, value.shape)))

    text = msgspec.msgpack.encode(message, enc_hook=replace_array)
    stream.write(_LENGTH.pack(len(text)))
    stream.write(text)
    for array in arrays:
        if array.nbytes:
            stream.write(_bytes_of(array))
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Reads the next message; None when the other end closed the pipe. Raises WireError on anything else."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > _LONGEST_TEXT:
        raise WireError(f"a message of {length} bytes was announced")
    text = stream.read(length)
    if len(text) < length:
        return None
    arrays: list[np.ndarray] = []

    def make_array(code: int, data: memoryview) -> np.ndarray:
        name, shape = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...]])
        array_type = np.dtype(name)
        if code != _ARRAY or array_type.kind not in "biuf":
            raise WireError(f"unknown value: code {code}, type {name}")
        size = array_type.itemsize
        for extent in shape:
            size *= extent
        if not 0 <= size <= _LARGEST_ARRAY:
            raise WireError(f"an array of {size} bytes was announced")
        arrays.append(np.empty(shape, array_type))
        return arrays[-1]

    try:
        message = msgspec.msgpack.decode(text, type=Message, ext_hook=make_array)
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError, ValueError) as error:
        raise WireError(f"unreadable message: {error}") from error
    for array in arrays:
        if array.nbytes and not _fill(stream, _bytes_of(array)):
            return None
    return message


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _fill(stream: BinaryIO, target: memoryview) -> bool:
    """Reads until target is full; False when the pipe ended before."""
    done = 0
    while done < len(target):
        count = stream.readinto(target[done:])  # type: ignore[attr-defined]
        if not count:
            return False
        done += count
    return True
