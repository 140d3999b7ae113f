"""Undo and redo: one flat QUndoCommand per edit, touching nothing but the document."""

from PySide6.QtGui import QUndoCommand, QUndoStack

from app.document.document import Document, InvalidEditError, StaleEditError
from app.document.records import Edit


class EditCommand(QUndoCommand):
    """Redo applies the edit, undo its inverse. An edit that no longer fits is dropped from the stack."""

    def __init__(self, document: Document, edit: Edit) -> None:
        super().__init__(edit.text)
        self._document = document
        self.edit = edit
        self._pushed = False

    def redo(self) -> None:
        """Also called by QUndoStack.push, where it only applies: nothing has to be revealed then."""
        self._apply(self.edit, reveal=self._pushed)
        self._pushed = True

    def undo(self) -> None:
        self._apply(self.edit.inverse(), reveal=True)

    def _apply(self, edit: Edit, reveal: bool) -> None:
        try:
            self._document.apply(edit)
        except StaleEditError as error:
            # Happens when something outside the stack (a new pre-fill) changed a record meanwhile; an
            # exception out of redo() would leave the stack's index wrong, so the step is retired instead.
            self.setObsolete(True)
            self._document.edit_refused.emit(str(error))
            return
        if reveal:
            self._document.edit_revealed.emit(edit.image)


def newest(undo_stack: QUndoStack) -> QUndoCommand | None:
    """The step that undo would take back; None where there is none."""
    return undo_stack.command(undo_stack.index() - 1) if undo_stack.index() else None


def push(
    undo_stack: QUndoStack,
    document: Document,
    edit: Edit | None,
    merge: bool = False,
    into: QUndoCommand | None = None,
) -> bool:
    """Applies an edit and makes it undoable.

    Args:
        undo_stack: The stack to push on.
        document: The document that the edit was made for.
        edit: What a command returned; None does nothing.
        merge: Fold into the previous step if it is on the same image and people, so that drawing a box and
            the joints that arrive for it are undone together.
        into: The only step to fold into, as `newest` has given it; any will do without.

    Returns:
        Whether anything was applied.

    Raises:
        StaleEditError, InvalidEditError: the edit does not fit; nothing was changed.
    """
    if edit is None:
        return False
    document.check(edit)
    previous = foldable(undo_stack, edit, into) if merge else None
    if previous is None:
        undo_stack.push(EditCommand(document, edit))
    else:
        document.apply(edit)
        previous.edit = previous.edit.merged_with(edit)
    return True


def foldable(undo_stack: QUndoStack, edit: Edit, into: QUndoCommand | None = None) -> EditCommand | None:
    """The step to fold into, if it is `into` where that is given.

    Not QUndoCommand.mergeWith: that refuses when the stack was marked clean (saved) in between, which for a
    continuously saved project is nearly always.
    """
    index = undo_stack.index()
    if index == 0 or index != undo_stack.count():
        return None
    previous = undo_stack.command(index - 1)
    if not isinstance(previous, EditCommand) or previous.edit.image != edit.image or (into and previous is not into):
        return None
    touched = {change.after.key for change in previous.edit.people if change.after}
    wanted = {record.key for change in edit.people for record in (change.before, change.after) if record}
    return previous if wanted and wanted <= touched else None


__all__ = ["EditCommand", "InvalidEditError", "StaleEditError", "foldable", "newest", "push"]
