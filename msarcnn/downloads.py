"""Downloading one file: resumed where it stopped, checked before it has its name, by one process at a time."""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from filelock import FileLock, Timeout

from msarcnn.connection_trouble import cause_of, may_pass
from msarcnn.model_files import full_hash
from msarcnn.sizes import in_megabytes

if TYPE_CHECKING:
    import requests

TRIES = 4
"""Connections in a row that bring nothing new before it is given up."""

_CHUNK = 1 << 14
"""Small: of a piece that breaks off, nothing is kept."""
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 30.0
_FIRST_PAUSE = 0.5
_POLL_SECONDS = 0.2
_SPARE_BYTES = 16 << 20
"""Stays free on the disk."""
_FULL = (errno.ENOSPC, errno.EDQUOT)

Progress = Callable[[int, int], None]
"""Bytes that are here, and all bytes; 0 while that is not known."""


class DownloadError(OSError):
    """A file that could not be downloaded; the message says why and what to do."""


class DownloadCancelledError(DownloadError):
    """Somebody asked to stop; what is here stays for the next time."""


class _UselessAnswerError(Exception):
    """An answer that is not the file; the next one may be. The message is for when none is."""


def nothing_to_say(done: int, total: int) -> None:
    """A progress that nobody watches."""


def never() -> bool:
    """A download that nobody cancels."""
    return False


def download(
    url: str,
    target: Path,
    sha256_prefix: str = "",
    progress: Progress = nothing_to_say,
    cancelled: Callable[[], bool] = never,
) -> None:
    """Brings a file from a web server; nothing but the whole, checked file ever has the target's name.

    What has come lies in `TARGET.part` until it is complete, also when this fails; the next call goes on from there.
    When another process downloads the same target, this one waits and finds it.

    Args:
        url: Where it lies.
        target: Where it shall be; there already: nothing happens.
        sha256_prefix: How the file's SHA-256 begins, in hexadecimal digits; "" does not look.
        progress: Called with the bytes that are here and all of them.
        cancelled: Asked between pieces.

    Raises:
        DownloadError: no connection, no room, or another file than expected.
        DownloadCancelledError: `cancelled` said so.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_of(target)
        fetch = _Fetch(url, target, sha256_prefix, progress, cancelled)
        while True:
            try:
                with lock.acquire(timeout=_POLL_SECONDS):
                    if not target.is_file():
                        fetch.run()
                    return
            except Timeout:
                fetch.watch_another()
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(_disk_trouble(target, error)) from error


@dataclass(frozen=True)
class _Known:
    """What a server said about the file whose beginning is here: its address, its mark of a version, its size."""

    url: str
    version: str = ""
    total: int = 0


class _Fetch:
    """One file on its way."""

    def __init__(
        self, url: str, target: Path, sha256_prefix: str, progress: Progress, cancelled: Callable[[], bool]
    ) -> None:
        self._url, self._target, self._prefix = url, target, sha256_prefix
        self._progress, self._cancelled = progress, cancelled
        self._part = part_of(target)
        self._note = self._part.with_name(f"{self._part.name}.json")
        self._known = _Known(url)

    def watch_another(self) -> None:
        """Another process has the lock: says how far that one is."""
        self._check_cancelled()
        self._progress(self._have(), self._read_note().total)

    def run(self) -> None:
        import requests

        self._known = self._read_note()
        if self._known.url != self._url:
            self._begin_anew()
        failures, have = 0, self._have()
        with requests.Session() as session:
            while not self._complete():
                self._check_cancelled()
                try:
                    self._receive(session)
                except (requests.RequestException, _UselessAnswerError) as error:
                    failures = 1 if self._have() > have else failures + 1
                    have = max(have, self._have())
                    if isinstance(error, requests.RequestException) and not may_pass(error):
                        raise DownloadError(self._refused(error)) from error
                    if failures >= TRIES:
                        raise DownloadError(self._given_up(error)) from error
                    self._wait(_FIRST_PAUSE * 2 ** (failures - 1))
        self._check()
        self._part.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _receive(self, session: "requests.Session") -> None:
        """Asks once, and writes what comes.

        Raises requests.RequestException or _UselessAnswerError when that is not all, OSError.
        """
        import requests

        have = self._have()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._known.version:
                headers["If-Range"] = self._known.version
        with session.get(
            self._url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
        ) as response:
            if response.status_code == 416 and have:
                self._past_the_end(response, have)
                return
            response.raise_for_status()
            start = _start(response)
            if start != have:
                self._check_answer(response, have)
                # The server knows no ranges, or has another file now.
                self._begin_anew()
                if start:
                    raise requests.ConnectionError("the server sent another piece than asked for")
            length = _length(response)
            self._known = _Known(self._url, _version(response), start + length if length else 0)
            self._check_room(length)
            self._write_note()
            self._write(response, start)

    def _check_answer(self, response: "requests.Response", have: int) -> None:
        """Decides whether an answer may take the place of what is here. Raises _UselessAnswerError when not.

        Networks that want a log-in answer for everybody, with a page. So the part gives way to nothing that is HTML or
        empty; and, its whole length being known, to another length only where the answer says that it is another
        version, and brings more than is here.
        """
        length, version = _length(response), _version(response)
        page = response.headers.get("Content-Type", "").lower().startswith("text/html")
        empty = response.status_code not in (200, 206) or response.headers.get("Content-Length") == "0"
        newer = version not in ("", self._known.version) and length > have
        if page or empty or (self._known.total and length != self._known.total and not newer):
            raise _UselessAnswerError(
                f"{self._url}: what is sent is not the file whose first {in_megabytes(have)} are here, but perhaps a "
                f"page of this network that wants you to log in. What is here stays: try again later, or on another "
                f"network; or delete {self._part} to begin anew."
            )

    def _write(self, response: "requests.Response", start: int) -> None:
        total, done = self._known.total, start
        with self._part.open("ab") as file:
            for chunk in response.iter_content(_CHUNK):
                self._check_cancelled()
                file.write(chunk)
                done += len(chunk)
                self._progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        if done == start:
            said = f"{response.status_code} {response.reason}"
            raise _UselessAnswerError(
                f"{self._url}: the server answers “{said}” and sends nothing. {by_hand(self._url, self._target)}"
            )
        if not total:
            # A server that does not say how much there is says by ending that this was all.
            self._known = _Known(self._url, self._known.version, done)

    def _past_the_end(self, response: "requests.Response", have: int) -> None:
        """Nothing follows what is here: that is all, or of another file."""
        whole = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if whole and int(whole[1]) == have:
            self._known = _Known(self._url, self._known.version, have)
        else:
            self._begin_anew()

    def _check(self) -> None:
        """The last look before the file gets its name."""
        digest = full_hash(self._part)
        if not digest.startswith(self._prefix):
            self._begin_anew()
            raise DownloadError(
                f"{self._url}: what came is not the published file (its SHA-256 begins with {digest[:8]} instead of "
                f"{self._prefix}): swapped or damaged on its way, so it was removed. Try again, or on another network."
            )

    def _check_room(self, length: int) -> None:
        free = shutil.disk_usage(self._part.parent).free
        if length + _SPARE_BYTES > free:
            raise DownloadError(
                f"{self._part.parent}: {self._name} needs {in_megabytes(length)} more, but {in_megabytes(free)} are "
                "free. Free some space, then download it again."
            )

    def _complete(self) -> bool:
        return bool(self._known.total) and self._have() == self._known.total

    def _have(self) -> int:
        """Bytes that are here."""
        return self._part.stat().st_size if self._part.is_file() else 0

    def _begin_anew(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._known = _Known(self._url)

    def _read_note(self) -> _Known:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Known)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return _Known(self._url)

    def _write_note(self) -> None:
        # Not atomic: half a note is none, and the hash has the last word.
        self._note.write_bytes(msgspec.json.encode(self._known))

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise DownloadCancelledError(f"{self._name}: cancelled; what is here stays for the next time")

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check_cancelled()
            time.sleep(min(left, _POLL_SECONDS))

    @property
    def _name(self) -> str:
        return self._target.name

    def _refused(self, error: "requests.RequestException") -> str:
        response = error.response
        said = f"{response.status_code} {response.reason}" if response is not None else str(error)
        return f"{self._url}: the server answers “{said}”. {by_hand(self._url, self._target)}"

    def _given_up(self, error: "requests.RequestException | _UselessAnswerError") -> str:
        if isinstance(error, _UselessAnswerError):
            return str(error)
        if error.response is not None:
            return self._refused(error)
        host = urlsplit(self._url).hostname
        if have := self._have():
            whole = f" of {in_megabytes(self._known.total)}" if self._known.total else ""
            return (
                f"{self._name}: the connection to {host} broke again and again ({cause_of(error)}); "
                f"{in_megabytes(have)}{whole} are here and stay. Try again later: it goes on from there. "
                f"{by_hand(self._url, self._target)}"
            )
        return f"{self._name}: {host} cannot be reached ({cause_of(error)}). {by_hand(self._url, self._target)}"


def part_of(target: Path) -> Path:
    """Where the beginning of a file lies until all of it is here."""
    return target.with_name(f"{target.name}.part")


def lock_of(target: Path) -> FileLock:
    """Whoever has it may change a file and the beginning of it."""
    return FileLock(f"{target}.lock")


def by_hand(url: str, target: Path) -> str:
    """What to do without a network."""
    return f"Without a network, bring {url} from elsewhere and put it here as {target}."


def _start(response: "requests.Response") -> int:
    """The place in the file of the first byte that comes."""
    if response.status_code != 206:
        return 0
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(place[1]) if place else -1


def _length(response: "requests.Response") -> int:
    """Bytes that will come; 0 when the server does not say, or says what is no number."""
    said = response.headers.get("Content-Length") or ""
    return int(said) if said.isdecimal() else 0


def _version(response: "requests.Response") -> str:
    """What `If-Range` takes: a strong ETag, else the time of the last change."""
    tag = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _disk_trouble(target: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return f"{target.parent}: the disk is full. Free some space, then download {target.name} again."
    reason = error.strerror or error
    return f"{target.parent}: cannot be written ({reason}). Name a folder of yours in MSARCNN_HOME."
