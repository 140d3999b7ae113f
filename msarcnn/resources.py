"""The one place that knows where the files that ship with the product lie."""

from pathlib import Path

from msarcnn.presets import DEFAULT_MODEL

_ROOT = Path(__file__).resolve().parent.parent / "resources"


def resource_path(*parts: str) -> Path:
    """Returns the absolute path of a shipped file, e.g. `resource_path("skeletons", "coco17.json")`.

    Found from this package's own place, never from the working folder. Raises FileNotFoundError
    when the installation lacks it.
    """
    path = _ROOT.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: install from a full clone with `pip install -e .`")
    return path


def bundled_weights() -> Path:
    """The weights that come with the product. Raises FileNotFoundError as `resource_path` does."""
    return resource_path("weights", f"{DEFAULT_MODEL}.safetensors")
