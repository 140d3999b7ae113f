"""Whether there is a display for a window; asked before Qt is, which would abort without one."""

import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_X11_SOCKETS = "/tmp/.X11-unix/X"
_X11_PORT = 6000
_X11_NAME = re.compile(r"(?P<host>[^/]*):(?P<number>\d+)(\.\d+)?")
_PATIENCE_SECONDS = 3.0


def has_display(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a window can be shown. A variable alone tells nothing: it outlives its session in tmux, or over ssh."""
    if not sys.platform.startswith("linux") or environment.get("QT_QPA_PLATFORM"):
        return True
    wayland, x11 = environment.get("WAYLAND_DISPLAY", ""), environment.get("DISPLAY", "")
    if wayland and _listens(str(Path(environment.get("XDG_RUNTIME_DIR", "/"), wayland))):
        return True
    return bool(x11) and _x11_answers(x11)


def _x11_answers(name: str) -> bool:
    parts = _X11_NAME.fullmatch(name)
    if parts is None:
        return True  # of a kind that only Qt knows
    host, number = parts["host"], int(parts["number"])
    if host in ("", "unix"):
        path = f"{_X11_SOCKETS}{number}"
        return _listens(f"\0{path}") or _listens(path)
    try:
        socket.create_connection((host.strip("[]"), _X11_PORT + number), _PATIENCE_SECONDS).close()
    except (OSError, OverflowError):
        return False
    return True


def _listens(path: str) -> bool:
    """Whether somebody accepts connections at a socket; one that begins with a zero byte is abstract."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            connection.connect(path)
        except OSError:
            return False
    return True
