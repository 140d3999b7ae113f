"""Commands on the state of an image. All raise KeyError when the image is not open."""

from app.document.document import Document
from app.document.records import Change, Edit, ImageState


def mark_done(document: Document, image: int) -> Edit | None:
    """Says that everybody in the image is labelled."""
    return _to_state(document, image, "Mark done", ImageState.DONE)


def mark_empty(document: Document, image: int) -> Edit | None:
    """Says that nobody is in the image; None while it has people."""
    if document.people(image):
        return None
    return _to_state(document, image, "Nobody here", ImageState.DONE_EMPTY)


def reopen(document: Document, image: int) -> Edit | None:
    """Takes a finished image back to "in progress"; None when it is not finished."""
    if not document.image(image).state.finished:
        return None
    return _to_state(document, image, "Reopen image", ImageState.IN_PROGRESS)


def toggle_flag(document: Document, image: int) -> Edit | None:
    """Flags an image for a second look, or takes the flag away; the work on it is not touched."""
    flagged = document.image(image).flagged
    return Edit(image, "Remove flag" if flagged else "Flag image", flagged=Change(flagged, not flagged))


def set_note(document: Document, image: int, note: str) -> Edit | None:
    """Writes a note about an image; None when it says so already."""
    before, after = document.image(image).note, note.strip()
    return None if before == after else Edit(image, "Change note", note=Change(before, after))


def mark_reviewed(document: Document, image: int) -> Edit | None:
    """Says that a second look found the labels right; None when the image is not finished."""
    if not document.image(image).state.finished:
        return None
    return _to_state(document, image, "Mark reviewed", ImageState.REVIEWED)


def _to_state(document: Document, image: int, text: str, state: ImageState) -> Edit | None:
    before = document.image(image).state
    return None if before is state else Edit(image, text, state=Change(before, state))
