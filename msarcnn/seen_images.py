"""Which of COCO's images a model has learnt from: figures on these say nothing about others."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

SEEN = "coco_images"
"""The place of these images' numbers in a model's lineage: its own run's and its ancestors'."""
_COCO_NAME = re.compile(r"(?:COCO_(?:train|val|test)\d{4}_)?(\d{12})")


def coco_numbers(file_names: Iterable[str]) -> set[int]:
    """The numbers of those images that are called as COCO calls them: 000000000139.jpg, of whatever format."""
    matches = (_COCO_NAME.fullmatch(PurePosixPath(name).stem) for name in file_names)
    return {int(match[1]) for match in matches if match}


def seen_images(lineage: Mapping[str, Any]) -> set[int]:
    """The numbers of COCO's images that a model with this lineage was trained on, as far as it says so."""
    numbers = lineage.get(SEEN)
    own = {one for one in numbers if isinstance(one, int)} if isinstance(numbers, list) else set()
    parent = lineage.get("parent_lineage")
    return own | (seen_images(parent) if isinstance(parent, Mapping) else set())


def judged_on_seen(lineage: Mapping[str, Any], annotations_hash: str, file_names: Iterable[str]) -> str:
    """A sentence for whoever judges a model on what it has learnt from; "" where there is nothing to say.

    Args:
        lineage: The model's.
        annotations_hash: Hash of the file that it is judged by.
        file_names: Of the images that it is judged on.
    """
    data = lineage.get("data")
    if isinstance(data, list) and annotations_hash in data and lineage.get("metrics") != "of the parent":
        return "the model was trained on this very file: its figures say nothing about other photos"
    judged = coco_numbers(file_names)
    known = judged & seen_images(lineage)
    if not known:
        return ""
    examples = ", ".join(f"{number:012d}" for number in sorted(known)[:3]) + (", ..." if len(known) > 3 else "")
    which = f"{len(known)} of these {len(judged)} COCO images ({examples})"
    return f"the model was trained on {which}: its figures say little about other photos"
