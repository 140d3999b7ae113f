"""What every command shares: an edit of labels also says that work on the image has begun."""

from app.document.document import Document
from app.document.records import Change, Edit, ImageState, Person, Prediction


def label_edit(
    document: Document,
    image: int,
    text: str,
    people: tuple[Change[Person], ...],
    predictions: tuple[Change[Prediction], ...] = (),
) -> Edit | None:
    """An edit of an open image's labels that also moves unseen and predicted to "in progress".

    Returns None when nothing would change. Raises KeyError when the image is not open.
    """
    people = tuple(change for change in people if change.before != change.after)
    predictions = tuple(change for change in predictions if change.before != change.after)
    if not people and not predictions:
        return None
    state = document.image(image).state
    begins = state in (ImageState.UNSEEN, ImageState.PREDICTED)
    contradicts = state is ImageState.DONE_EMPTY and any(change.after for change in people)
    begun = Change(state, ImageState.IN_PROGRESS) if people and (begins or contradicts) else None
    return Edit(image, text, people, predictions, begun)


def person_edit(document: Document, image: int, text: str, after: Person) -> Edit | None:
    """An edit that changes one existing person to `after`."""
    return label_edit(document, image, text, (Change(document.person(image, after.key), after),))
