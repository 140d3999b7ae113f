"""Encoded images that are kept for the next question about them, bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class FeatureCache:
    """Features by key, the least recently used dropped beyond a number of bytes. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, features: Any) -> None:
        """Keeps features (`nbytes` is asked of them); what alone exceeds the bound is not kept."""
        with self._lock:
            if features.nbytes <= self._max_bytes:
                self._entries[key] = features
                self._entries.move_to_end(key)
                self._shrink()

    def set_bound(self, max_bytes: int) -> None:
        """Keeps no more than that from now on."""
        with self._lock:
            self._max_bytes = max_bytes
            self._shrink()

    def clear(self) -> None:
        """Drops everything: the memory is needed."""
        with self._lock:
            self._entries.clear()

    @property
    def nbytes(self) -> int:
        return sum(features.nbytes for features in self._entries.values())

    def _shrink(self) -> None:
        while self.nbytes > self._max_bytes:
            self._entries.popitem(last=False)
