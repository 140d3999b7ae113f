"""Qt's bindings must not eat Python's None, True and False: one lost reference a signal ends the process."""

import sys

from PySide6.QtCore import QObject, QTimer, Signal


class Emitter(QObject):
    happened = Signal(object)


def test_signals_and_setters_keep_the_reference_counts_of_constants(qapp):
    emitter, timer = Emitter(), QTimer()
    emitter.happened.connect(lambda value: None)
    before = [sys.getrefcount(value) for value in (None, True, False)]
    for _ in range(200):
        emitter.happened.emit(True)
        emitter.happened.emit(False)
        timer.setSingleShot(True)
    after = [sys.getrefcount(value) for value in (None, True, False)]
    assert all(now > then - 50 for now, then in zip(after, before, strict=True)), (before, after)
