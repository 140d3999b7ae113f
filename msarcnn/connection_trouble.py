"""What was wrong with a connection, in a few words, and whether another try may help."""

import re
from typing import TYPE_CHECKING

from msarcnn.checkpoint_error import first_line

if TYPE_CHECKING:
    import requests

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Status codes of a server that may do better the next time."""

_NUMBERS = re.compile(r"\[Errno -?\d+\] ?|\[[A-Z]+: [A-Z0-9_]+\] ?| ?\(_ssl\.c:\d+\)")


def may_pass(error: "requests.RequestException") -> bool:
    """Whether another try may help: the connection's trouble, or a server's that is too busy."""
    import requests

    if error.response is not None:
        return error.response.status_code in _PASSING
    return not isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema)


def cause_of(error: "requests.RequestException") -> str:
    """Why there is no connection, or not any more; with what to look at where that is on this side."""
    import requests

    known = requests.exceptions
    if isinstance(error, known.Timeout):
        return "it does not answer in time"
    if isinstance(error, known.ChunkedEncodingError):
        return "the rest did not come"
    said = _innermost(error)
    if isinstance(error, known.ProxyError):
        return f"the proxy does not let it through: {said}; check the variables HTTPS_PROXY and HTTP_PROXY"
    if isinstance(error, known.SSLError):
        return f"the connection is not secure: {said}; check this computer's date, and who is between"
    return said


def _innermost(error: BaseException) -> str:
    """The first line of the error that the others are made of, without Python's addresses and numbers."""
    inner: object = error
    while isinstance(inner, BaseException):
        deepest = inner
        wrapped = [getattr(inner, "reason", None), *reversed(inner.args)]
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
    text = str(getattr(deepest, "strerror", None) or first_line(deepest))
    return _NUMBERS.sub("", text).rpartition(": ")[2].strip().rstrip(".")
