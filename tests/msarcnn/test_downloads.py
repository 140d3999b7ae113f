"""A download comes through, or leaves what it has for the next one; nothing half or foreign gets the file's name."""

import errno
import hashlib
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import NAME, FileServer, serving

from msarcnn import downloads
from msarcnn.downloads import TRIES, DownloadCancelledError, DownloadError, download, part_of

CONTENT = random.Random(1).randbytes(3_000_000)
PIECE = 16_384
"""What is kept of a broken connection are whole pieces of this."""
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "library" / NAME


def left_beside(target: Path) -> set[str]:
    """What lies beside the target, but for the lock, which is empty."""
    return {path.name for path in target.parent.iterdir()} - {f"{target.name}.lock"}


def test_a_file_comes_whole_and_says_how_far_it_is(server: FileServer, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(server.url, target, PREFIX, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 5
    assert left_beside(target) == {NAME}
    download(server.url, target, PREFIX)
    assert len(server.asked) == 1, "what is here is not asked for"


def test_a_broken_connection_is_taken_up_where_it_broke(server: FileServer, target: Path) -> None:
    server.cut = [60 * PIECE + 5, 50 * PIECE]
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT
    assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={60 * PIECE}-", f"bytes={110 * PIECE}-"]
    assert server.asked[1]["If-Range"] == server.etag
    assert server.sent == len(CONTENT) + 5, "only the broken piece came twice"


def test_a_connection_that_keeps_breaking_ends_with_a_sentence_and_the_next_call_goes_on(
    server: FileServer, target: Path
) -> None:
    server.cut = [90 * PIECE, *[0] * 20]
    broke = r"weights\.pth: the connection to 127\.0\.0\.1 broke again and again \(the rest did not come\); "
    with pytest.raises(DownloadError, match=rf"{broke}.* goes on from there\. Without a network, bring"):
        download(server.url, target, PREFIX)
    assert part_of(target).read_bytes() == CONTENT[: 90 * PIECE] and not target.exists()
    server.cut = []
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and server.asked[-1]["Range"] == f"bytes={90 * PIECE}-"


def test_a_server_without_ranges_sends_all_of_it_anew(server: FileServer, target: Path) -> None:
    server.ranges, server.cut = False, [1_000_000]
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and server.sent == 1_000_000 + len(CONTENT)


def test_a_file_that_changed_meanwhile_is_begun_anew(server: FileServer, target: Path) -> None:
    server.content, server.etag, server.cut = b"old" * 500_000, '"zero"', [600_000, *[0] * 20]
    with pytest.raises(DownloadError):
        download(server.url, target, PREFIX)
    server.content, server.etag, server.cut = CONTENT, '"one"', []
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and server.asked[-1]["If-Range"] == '"zero"'


@pytest.mark.parametrize(
    ("etag", "kind", "length"),
    [
        ('"one"', "", 3_500_000),
        ('"page"', "", 35),
        ('"page"', "text/html; charset=utf-8", 3_500_000),
        ('"page"', "", 0),
    ],
)
def test_a_part_gives_way_to_no_page_of_a_network_that_wants_a_login(
    server: FileServer, target: Path, etag: str, kind: str, length: int
) -> None:
    server.cut = [60 * PIECE, *[0] * 20]
    with pytest.raises(DownloadError):
        download(server.url, target, PREFIX)
    server.content, server.etag, server.kind, server.ranges, server.cut = bytes(length), etag, kind, False, []
    with pytest.raises(DownloadError, match=r"wants you to log in\. What is here stays: .*delete .*\.part to begin"):
        download(server.url, target, PREFIX, cancelled=lambda: len(server.asked) > 20 * TRIES)
    assert part_of(target).read_bytes() == CONTENT[: 60 * PIECE]
    server.content, server.etag, server.kind, server.ranges = CONTENT, '"one"', "", True
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and server.asked[-1]["Range"] == f"bytes={60 * PIECE}-"


def test_an_empty_answer_is_a_failed_try(server: FileServer, target: Path) -> None:
    server.content = b""
    with pytest.raises(DownloadError, match=r"answers “200 OK” and sends nothing\. Without a network, bring"):
        download(server.url, target, PREFIX, cancelled=lambda: len(server.asked) > 2 * TRIES)
    assert len(server.asked) == TRIES


def test_a_note_that_is_no_text_is_none(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:700])
    part_of(target).with_name(f"{NAME}.part.json").write_bytes(b'{"url":"\xff","version":"a","total":3}')
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT


def test_why_there_is_no_connection_is_said(server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match=r"reached \(the connection is not secure: [^()\]]+; check this"):
        download(server.url.replace("http:", "https:"), target)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"reached \(the proxy does not let it through: [^()<>]+; check the var"):
        download("http://weights.invalid/w.pth", target)


def test_a_part_of_another_address_is_not_continued(server: FileServer, target: Path) -> None:
    server.cut = [600_000, *[0] * 20]
    with pytest.raises(DownloadError):
        download(server.url + "?old", target, PREFIX)
    download_count, server.cut = len(server.asked), []
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and "Range" not in server.asked[download_count]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_part_as_long_as_the_file_is_looked_at(server: FileServer, target: Path, extra: bytes) -> None:
    """The program was killed after the last byte; or the part belongs to a longer file."""
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT + extra)
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT
    assert server.sent == (len(CONTENT) if extra else 0)


def test_another_file_than_the_published_one_never_gets_its_name(server: FileServer, target: Path) -> None:
    server.content = b"<html>Log in to this network</html>"
    with pytest.raises(DownloadError, match=rf"SHA-256 begins with \w{{8}} instead of {PREFIX}.*swapped or damaged"):
        download(server.url, target, PREFIX)
    assert left_beside(target) == set(), "nothing to go on from, either"


def test_a_server_that_does_not_say_how_much_comes(server: FileServer, target: Path) -> None:
    server.says_length = False
    seen: list[tuple[int, int]] = []
    download(server.url, target, PREFIX, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT and {total for _, total in seen} == {0}
    target.unlink()
    server.cut = [100_000]
    with pytest.raises(DownloadError, match="damaged"):
        download(server.url, target, PREFIX)


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: FileServer, target: Path) -> None:
    server.statuses = [503, 429]
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and len(server.asked) == 3
    target.unlink()
    server.statuses = [404] * 10
    with pytest.raises(DownloadError, match=r"the server answers “404 Not Found”\. Without a network"):
        download(server.url, target, PREFIX)
    assert len(server.asked) == 4


def test_without_a_network_it_is_said_which_file_to_put_where(target: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
    with pytest.raises(DownloadError) as caught:
        download(url, target, PREFIX)
    text = str(caught.value)
    assert (
        "127.0.0.1 cannot be reached (Connection refused)" in text
        and url in text
        and str(target) in text
        and "\n" not in text
    )
    assert left_beside(target) == set()


def test_an_address_that_is_none_is_refused_at_once(target: Path) -> None:
    with pytest.raises(DownloadError, match="No connection adapters"):
        download("nowhere:weights.pth", target)


def test_a_cancelled_download_stops_soon_and_keeps_what_it_has(server: FileServer, target: Path) -> None:
    server.pause = 0.01
    began = time.monotonic()
    with pytest.raises(DownloadCancelledError):
        download(server.url, target, PREFIX, cancelled=lambda: part_of(target).exists())
    assert time.monotonic() - began < 5 and not target.exists()
    server.pause = 0
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_a_sentence_and_the_part_is_sound(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    class FullDisk:
        """Takes a megabyte."""

        def __init__(self, file: object) -> None:
            self.file = file

        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()  # type: ignore[attr-defined]

        def write(self, data: bytes) -> None:
            if self.file.tell() + len(data) > 1_000_000:  # type: ignore[attr-defined]
                self.file.write(data[:100])  # type: ignore[attr-defined]
                raise OSError(errno.ENOSPC, "No space left on device")
            self.file.write(data)  # type: ignore[attr-defined]

    def opened(path: Path, mode: str = "r", *more: object, **named: object) -> object:
        file = real(path, mode, *more, **named)  # type: ignore[call-overload]
        return FullDisk(file) if mode == "ab" else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DownloadError, match=r"the disk is full\. Free some space"):
        download(server.url, target, PREFIX)
    assert not target.exists()
    monkeypatch.undo()
    part = part_of(target).read_bytes()
    assert 0 < len(part) < 1_000_001 and CONTENT.startswith(part)
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT


def test_room_is_asked_for_before_anything_is_written(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent.parent)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(DownloadError, match=r"weights\.pth needs 2\.9 MB more, but 1\.0 MB are free"):
        download(server.url, target, PREFIX)
    assert not part_of(target).exists()


def test_a_folder_that_cannot_be_made_is_a_sentence(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "library").write_text("a file")
    with pytest.raises(DownloadError, match=r"library: cannot be written .*MSARCNN_HOME"):
        download(server.url, tmp_path / "library" / NAME, PREFIX)


_CHILD = """
import sys
from pathlib import Path
from msarcnn.downloads import download
download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
"""


def child(server: FileServer, target: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _CHILD, server.url, str(target), PREFIX])


def test_of_two_processes_one_downloads_and_the_other_finds_it(server: FileServer, target: Path) -> None:
    server.pause = 0.001
    both = [child(server, target), child(server, target)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert target.read_bytes() == CONTENT and server.sent == len(CONTENT)


def test_who_waits_for_another_process_sees_it_come_and_can_cancel(server: FileServer, target: Path) -> None:
    server.pause = 0.005
    other = child(server, target)
    try:
        assert server.flowing.wait(30)
        seen: list[int] = []
        with pytest.raises(DownloadCancelledError):
            download(server.url, target, PREFIX, lambda done, _: seen.append(done), lambda: len(seen) >= 2)
        assert len(server.asked) == 1
        server.pause = 0
        assert other.wait(timeout=60) == 0 and target.read_bytes() == CONTENT
    finally:
        other.kill()
        other.wait()


def test_what_a_killed_process_has_left_is_continued(server: FileServer, target: Path) -> None:
    server.pause = 0.02
    other = child(server, target)
    assert server.flowing.wait(30)
    deadline = time.monotonic() + 30
    while not (part_of(target).is_file() and part_of(target).stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    other.kill()
    other.wait()
    have = part_of(target).stat().st_size
    server.pause = 0
    download(server.url, target, PREFIX)
    assert target.read_bytes() == CONTENT and server.asked[-1]["Range"] == f"bytes={have}-"


def test_threads_of_one_process_share_a_download_too(server: FileServer, target: Path) -> None:
    server.pause = 0.001
    threads = [threading.Thread(target=download, args=(server.url, target, PREFIX)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert target.read_bytes() == CONTENT and server.sent == len(CONTENT)
