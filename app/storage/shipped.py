"""What ships with the product and the window uses: the skeleton, the sample project, the bundled model."""

from pathlib import Path

from msarcnn.resources import bundled_weights, resource_path
from msarcnn.skeleton import Skeleton, coco17

__all__ = ["Skeleton", "bundled_model", "default_skeleton", "sample_folder"]


def default_skeleton() -> Skeleton:
    """COCO-17."""
    return coco17()


def sample_folder() -> Path:
    """The folder of the sample project: images and `annotations.json`. Raises FileNotFoundError when it is missing."""
    return resource_path("sample")


def bundled_model() -> Path:
    """The weights that came with the app. Raises FileNotFoundError when they are missing."""
    return bundled_weights()
