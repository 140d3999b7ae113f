"""A web server on this machine that serves one file, as well or badly as a test wants."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "weights.pth"


@dataclass
class FileServer:
    """What is served, and how.

    Attributes:
        content: The file.
        etag: Its version.
        kind: Its media type; "" says nothing.
        ranges: Whether a part of the file can be asked for.
        says_length: Whether it says how much will come.
        cut: For each request in turn after how many bytes of the answer it hangs up; None and after the last: never.
        statuses: For each request in turn the status instead of an answer; None and after the last: a good one.
        pause: Seconds between two pieces of 4 KiB.
        asked: The headers of each request, for the test to look at.
        sent: Bytes of the file that were sent, all in all.
        flowing: Set once the first piece of an answer was sent.
    """

    content: bytes
    etag: str = '"one"'
    kind: str = ""
    ranges: bool = True
    says_length: bool = True
    cut: list[int | None] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    pause: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    flowing: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def serving(content: bytes, name: str = NAME) -> Iterator[FileServer]:
    """Serves on a free port of the loopback address while the block runs."""
    served = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(dict(self.headers))
            status = served.statuses.pop(0) if served.statuses else None
            if status is not None:
                self.send_error(status)
                return
            start = self._start()
            whole = len(served.content)
            if start and start >= whole:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{whole}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("ETag", served.etag)
            if served.kind:
                self.send_header("Content-Type", served.kind)
            if served.says_length:
                self.send_header("Content-Length", str(whole - start))
            else:
                self.close_connection = True
            self.end_headers()
            self._send(served.content[start:])

        def _start(self) -> int:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if not asked or not served.ranges or self.headers.get("If-Range", served.etag) != served.etag:
                return 0
            return int(asked[1])

        def _send(self, body: bytes) -> None:
            cut = served.cut.pop(0) if served.cut else None
            body = body[:cut]
            for at in range(0, len(body), 4096):
                if served.stopped.is_set():
                    break
                try:
                    self.wfile.write(body[at : at + 4096])
                except OSError:
                    break
                served.sent += len(body[at : at + 4096])
                served.flowing.set()
                served.stopped.wait(served.pause)
            if cut is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}/models/{name}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        served.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
