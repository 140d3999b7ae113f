"""Which images are held out to judge a model on."""

from collections.abc import Collection

import numpy as np

from msarcnn.config import held_out_count
from msarcnn.dataset import DataError, LabelledImage


def split_by_image(
    images: list[LabelledImage], fraction: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Splits into training and held-out images, by image, the same for the same seed; both get at least one.

    Where two images have keypoints (or people, when none has keypoints), each part gets one of them; a single one is
    trained on.

    Raises:
        DataError: there are fewer than two images.
    """
    if len(images) < 2:
        raise DataError("holding images out needs at least two labelled images: label more, or hold none out")
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    count = held_out_count(len(images), fraction)
    held_out, rest = order[:count], order[count:]
    posed = {index for index, image in enumerate(images) if image.has_keypoints}
    telling = posed or {index for index, image in enumerate(images) if len(image.boxes)}
    _give_one(telling, held_out, rest, spare=2)
    _give_one(telling, rest, held_out, spare=1)
    chosen = set(held_out)
    training = [image for index, image in enumerate(images) if index not in chosen]
    return training, [image for index, image in enumerate(images) if index in chosen]


def _give_one(telling: Collection[int], to: list[int], of: list[int], spare: int) -> None:
    """Exchanges an image, when one part has none that tells anything, and the other has as many as it can spare of."""
    places = [place for place, index in enumerate(of) if index in telling]
    if len(places) >= spare and not any(index in telling for index in to):
        to[-1], of[places[0]] = of[places[0]], to[-1]
