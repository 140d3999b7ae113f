"""The decoder child: files in, pixels out, one after the other. `python -P -m app.workers.decoder_process`."""

import numpy as np
from PIL import Image

from app.workers.child import ParentLink
from app.workers.image_reading import read_image
from app.workers.wire import Message
from msarcnn.images import ImageError


def decode(request: Message) -> Message:
    """Reads an image; size > 0 scales it down so that its longest side is at most that many pixels."""
    try:
        image = read_image(request)
    except ImageError as error:
        # A file that is too large for the memory of this moment is no damaged one.
        short = isinstance(error.__cause__, MemoryError)
        return {"type": "trouble" if short else "error", "request": request["request"], "text": str(error)}
    height, width = image.pixels.shape[:2]
    return {
        "type": "decoded",
        "request": request["request"],
        "width": width,
        "height": height,
        "pixels": shrink(image.pixels, request["size"]) if request["size"] else image.pixels,
        "notes": list(image.notes),
    }


def shrink(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, 3] scaled so that the longest side is at most `size`; never enlarged."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def main() -> None:
    link = ParentLink()
    for request in link.messages():
        link.send(decode(request))


if __name__ == "__main__":
    main()
