"""How children read image files: `msarcnn.images` with the fields of `ImageFile.to_message`. No Qt."""

import os
from pathlib import Path

from app.workers.wire import Message
from msarcnn.images import LoadedImage, Photo


def photo_of(message: Message) -> Photo:
    """The image that a request names."""
    root = message["root"]
    size = message["labelled_size"]
    return Photo(
        Path(os.fsdecode(message["path"])),
        None if root is None else Path(os.fsdecode(root)),
        None if size is None else (size[0], size[1]),
    )


def read_image(message: Message) -> LoadedImage:
    """Reads the image that a request names. Raises msarcnn.images.ImageError."""
    return photo_of(message).read()
