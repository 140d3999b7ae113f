"""Colours of the canvas: bright on any photo, told apart with any colour vision, the same in light and dark schemes."""

from dataclasses import dataclass

from PySide6.QtGui import QColor

BACKGROUND = QColor("#17181c")
SELECTED = QColor("#ffffff")
LABEL = QColor("#4dd0a5")
CROWD = QColor("#c792ea")
OUTLINE = QColor(0, 0, 0, 170)
TEXT = QColor("#f4f5f7")
PLATE = QColor(18, 19, 23, 205)
NEW_BOX = QColor("#ffffff")


@dataclass(frozen=True)
class Look:
    """The skeleton as the painter needs it.

    Attributes:
        edges: Bones as pairs of joint indices.
        colors: Colour of each joint.
        edge_colors: Colour of each bone: its side's, the centre's where the sides differ.
        names: Joint names as written on the photo, e.g. "L wrist".
    """

    edges: tuple[tuple[int, int], ...]
    colors: tuple[QColor, ...]
    edge_colors: tuple[QColor, ...]
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, keypoints: tuple[str, ...], edges: tuple[tuple[int, int], ...], sides: str, colors: dict[str, str]
    ) -> "Look":
        """Builds it from a skeleton's fields."""
        palette = {side: QColor(color) for side, color in colors.items()}
        return cls(
            edges,
            tuple(palette[side] for side in sides),
            tuple(palette[sides[a] if sides[a] == sides[b] else "c"] for a, b in edges),
            tuple(_short(name) for name in keypoints),
        )


def _short(name: str) -> str:
    words = name.split("_")
    side = {"left": "L", "right": "R"}.get(words[0])
    return " ".join([side, *words[1:]] if side and len(words) > 1 else words)


def confidence_color(confidence: float) -> QColor:
    """Returns the colour of a score in 0..1: from vermilion (doubtful) over amber to sky blue (sure)."""
    stops = ((0.0, (213, 94, 0)), (0.5, (240, 190, 50)), (1.0, (86, 200, 255)))
    confidence = min(max(confidence, 0.0), 1.0)
    low, high = (stops[0], stops[1]) if confidence < 0.5 else (stops[1], stops[2])
    along = (confidence - low[0]) / (high[0] - low[0])
    return QColor(*(round(a + (b - a) * along) for a, b in zip(low[1], high[1], strict=True)))
