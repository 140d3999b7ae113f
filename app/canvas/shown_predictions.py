"""Which predictions are on screen."""

from app.canvas.layers import Layers
from app.commands.predictions import is_comparison
from app.document.document import Document
from app.document.records import Prediction, PredictionStatus


def shown_predictions(document: Document, image: int | None, layers: Layers) -> tuple[Prediction, ...]:
    """Open predictions at or above the threshold that match no label; none on an image that is finished."""
    if image is None or not document.is_open(image) or not layers.shows("predictions"):
        return ()
    if document.image(image).state.finished:
        return ()
    people = document.people(image)
    return tuple(
        prediction
        for prediction in document.predictions(image)
        if prediction.status is PredictionStatus.OPEN
        and prediction.score >= layers.threshold
        and not is_comparison(prediction, people)
    )
