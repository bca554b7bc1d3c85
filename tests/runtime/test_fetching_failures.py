"""Getting assets where it cannot work: wrong files, no server, no room, and processes that are stopped."""

from __future__ import annotations

import errno
import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from asset_server import CONTENT, Site, environment, files, part, refused
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.fetching import pull_asset

# What another process runs: pull the site's file into a folder, as one line or a traceback on standard error.
PULL = """
import sys
from pathlib import Path
from sharpline.runtime.assets import Asset
from sharpline.runtime.fetching import pull_asset
print(pull_asset(Asset.model_validate_json(sys.argv[1]), Path(sys.argv[2])))
"""


# What cannot work, said in one line


def test_wrong_bytes_are_removed_and_both_hashes_told(site: Site, tmp_path: Path) -> None:
    site.content = bytes(len(CONTENT))
    line = refused(site, tmp_path)
    assert site.asset().sha256 in line
    assert hashlib.sha256(site.content).hexdigest() in line
    assert files(tmp_path) == set()
    assert len(site.asked) == 1


def test_wrong_bytes_do_not_destroy_what_was_there_before(site: Site, tmp_path: Path) -> None:
    (tmp_path / "thing.bin").write_bytes(b"older")
    site.content = bytes(len(CONTENT))
    with pytest.raises(ModelError):
        pull_asset(site.asset(), tmp_path)
    assert (tmp_path / "thing.bin").read_bytes() == b"older"


@pytest.mark.parametrize("size", [0, 10, len(CONTENT) + 1, 10 * len(CONTENT)])
def test_another_size_is_refused_before_the_download(site: Site, tmp_path: Path, size: int) -> None:
    site.content = bytes(size)
    assert f"has {size:,} bytes, not the 300,000 of the registry" in refused(site, tmp_path)
    assert files(tmp_path) == set()


def test_a_reply_without_length_and_end_is_cut_off(site: Site, tmp_path: Path) -> None:
    site.content, site.lengths = bytes(10 * len(CONTENT)), False
    assert "more than the 300,000 bytes" in refused(site, tmp_path)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("status", [404, 403, 410])
def test_not_found_is_asked_once(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status] * 9
    assert f"thing was not pulled: {site.url}/thing.bin: the server says {status}" in refused(site, tmp_path)
    assert len(site.asked) == 1


def test_every_address_that_failed_is_told(site: Site, tmp_path: Path) -> None:
    site.statuses = [404, 403]
    line = refused(site, tmp_path, asset=site.asset(urls=(f"{site.url}/a", f"{site.url}/b")))
    assert "/a: the server says 404" in line
    assert "/b: the server says 403" in line


def test_no_server(site: Site, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "the connection to 127.0.0.1 failed (tried 4 times" in refused(
        site, tmp_path, asset=site.asset(urls=(f"http://127.0.0.1:{port}/x",))
    )


def test_no_name_service(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    asset = site.asset(urls=("https://assets.invalid/x",))
    assert "no address is known for assets.invalid; is this machine offline" in refused(site, tmp_path, asset=asset)


def test_a_proxy_that_is_gone(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    asset = site.asset(urls=("http://example.invalid/x.bin",))
    assert "the proxy does not answer" in refused(site, tmp_path, asset=asset)


def test_a_certificate_that_is_none(site: Site, tmp_path: Path) -> None:
    asset = site.asset(urls=(site.url.replace("http:", "https:") + "/x",))
    assert "the certificate of 127.0.0.1 is not trusted" in refused(site, tmp_path, asset=asset)


def test_a_password_in_an_address_is_not_told(site: Site, tmp_path: Path) -> None:
    site.statuses = [404]
    host = urlsplit(site.url).netloc
    line = refused(site, tmp_path, mirror=f"http://me:secret@{host}/m")
    assert "secret" not in line
    assert f"http://{host}/m/thing.bin" in line


def test_a_folder_that_cannot_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"cannot be used for assets .*--cache or SHARPLINE_ASSETS"):
        pull_asset(site.asset(), tmp_path / "file" / "folder")


# The disk


def test_no_room_is_seen_before_the_download(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=299_999))
    assert "no room for thing: 300,000 bytes needed, 299,999 free" in refused(site, tmp_path)
    assert site.asked == []
    part(tmp_path).write_bytes(CONTENT[:1])
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT  # what is there needs no room


def test_a_disk_that_fills_up_keeps_what_arrived(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def small(self: Path, *options: object, **more: object) -> object:
        file = real(self, *options, **more)
        return Small(file) if self.suffix == ".part" else file

    monkeypatch.setattr(Path, "open", small)
    line = refused(site, tmp_path)
    assert "No space left on device" in line
    assert "make room and pull again" in line
    monkeypatch.undo()
    kept = part(tmp_path).stat().st_size
    assert 0 < kept < len(CONTENT)
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert site.asked[-1][1] == f"bytes={kept}-"


class Small:
    """A file on a disk with room for 100,000 bytes."""

    def __init__(self, file: object) -> None:
        self.file, self.room = file, 100_000

    def __enter__(self) -> Small:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def write(self, block: bytes) -> int:
        self.room -= len(block)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(block)


# Other processes


def start(site: Site, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, site.asset().model_dump_json(), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_two_processes_download_once(site: Site, tmp_path: Path) -> None:
    site.hold = lambda: time.sleep(1.0)
    processes = [start(site, tmp_path) for _ in range(2)]
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert (tmp_path / "thing.bin").read_bytes() == CONTENT
    assert files(tmp_path) == {"thing.bin"}
    assert len(site.asked) == 1


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_process_leaves_only_a_part_to_resume(site: Site, tmp_path: Path, blow: signal.Signals) -> None:
    reached, free = threading.Event(), threading.Event()
    site.hold = lambda: (reached.set(), free.wait(30))
    process = start(site, tmp_path)
    try:
        assert reached.wait(60)
        deadline = time.monotonic() + 20
        while not (part(tmp_path).exists() and part(tmp_path).stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(blow)
        process.communicate(timeout=30)
    finally:
        free.set()
        process.kill()
    kept = part(tmp_path).stat().st_size
    assert files(tmp_path) == {"thing.bin.part"}
    assert 0 < kept < len(CONTENT)
    site.hold = lambda: None
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert site.asked[-1][1] == f"bytes={kept}-"
