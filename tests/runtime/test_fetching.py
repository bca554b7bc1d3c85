"""Getting assets from servers that are good, and over lines that are bad."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from asset_server import CONTENT, Site, files, part, refused
from sharpline.errors import UsageError
from sharpline.runtime import fetching
from sharpline.runtime.fetching import pull_asset


def resumed_at(asked: str | None) -> int:
    return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0


# A good server


def test_pull_gets_the_file_once(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "new" / "folder"
    path = pull_asset(site.asset(), folder, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert files(folder) == {"thing.bin"}
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    pull_asset(site.asset(), folder)
    assert len(site.asked) == 1


def test_a_damaged_file_is_replaced(site: Site, tmp_path: Path) -> None:
    (tmp_path / "thing.bin").write_bytes(CONTENT[:-1] + b"\0")
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT


def test_the_next_address_is_tried(site: Site, tmp_path: Path) -> None:
    site.statuses = [404]
    asset = site.asset(urls=(f"{site.url}/gone", f"{site.url}/there"))
    assert pull_asset(asset, tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in site.asked] == ["/gone", "/there"]


def test_a_mirror_replaces_all_addresses(site: Site, tmp_path: Path) -> None:
    asset = site.asset(urls=("http://example.invalid/elsewhere.bin",))
    assert pull_asset(asset, tmp_path, mirror=f"{site.url}/mirror/").read_bytes() == CONTENT
    assert site.asked == [("/mirror/thing.bin", None)]


@pytest.mark.parametrize("mirror", ["/mnt/stick", "ftp://host/x", "host/x", "https://"])
def test_a_mirror_is_a_web_address(site: Site, tmp_path: Path, mirror: str) -> None:
    with pytest.raises(UsageError, match="https://host/folder"):
        pull_asset(site.asset(), tmp_path, mirror=mirror)


def test_the_proxy_of_the_environment_is_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.setenv("no_proxy", "")
    asset = site.asset(urls=("http://example.invalid/x.bin",))
    assert pull_asset(asset, tmp_path).read_bytes() == CONTENT
    assert site.asked == [("http://example.invalid/x.bin", None)]


# A bad line: goes on where it stopped


def test_a_dropped_connection_is_resumed(site: Site, tmp_path: Path) -> None:
    site.drops = [100_000, 50_000]
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    first, second, third = (resumed_at(asked) for _, asked in site.asked)
    assert first == 0
    assert 90_000 < second <= 100_000
    assert 140_000 < third <= 150_000


def test_a_reply_without_length_that_ends_early_is_resumed(site: Site, tmp_path: Path) -> None:
    site.lengths, site.drops = False, [100_000]
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=100000-"]


def test_bytes_of_an_earlier_call_are_not_fetched_again(site: Site, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(CONTENT[:200_000])
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == ["bytes=200000-"]
    assert files(tmp_path) == {"thing.bin"}


def test_all_bytes_of_an_earlier_call_need_no_server(site: Site, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(CONTENT)
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert site.asked == []


def test_a_server_without_ranges_starts_again(site: Site, tmp_path: Path) -> None:
    site.ranges, site.drops = False, [100_000]
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 2


@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_without_ranges_that_always_drops_ends(site: Site, tmp_path: Path, lengths: bool) -> None:
    site.ranges, site.lengths, site.drops = False, lengths, [100_000] * 50
    assert "tried 4 times" in refused(site, tmp_path)
    assert len(site.asked) == 5  # the first brought bytes, four did not


def test_a_server_that_gives_another_range_is_asked_for_all(site: Site, tmp_path: Path) -> None:
    site.skew = 7
    part(tmp_path).write_bytes(CONTENT[:200_000])
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == ["bytes=200000-", None]


def test_kept_bytes_survive_a_server_whose_file_is_shorter(site: Site, tmp_path: Path) -> None:
    site.content = CONTENT[:100_000]
    part(tmp_path).write_bytes(CONTENT[:200_000])
    assert "the server says 416" in refused(site, tmp_path)
    assert part(tmp_path).read_bytes() == CONTENT[:200_000]


@pytest.mark.parametrize("wrong", [bytes(200_000), bytes(len(CONTENT)), bytes(len(CONTENT) + 5)])
def test_kept_bytes_of_another_file_are_thrown_away(site: Site, tmp_path: Path, wrong: bytes) -> None:
    part(tmp_path).write_bytes(wrong)
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert site.asked[-1][1] is None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status, status]
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 3


def test_pauses_grow_and_end(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(fetching, "_PAUSES", (1.0, 2.0, 4.0))
    monkeypatch.setattr(fetching.time, "sleep", pauses.append)
    site.statuses = [500] * 50
    assert "500 Internal Server Error" in refused(site, tmp_path)
    assert pauses == [1.0, 2.0, 4.0]
    assert len(site.asked) == 4


def test_a_stalled_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    holds = iter([2.0])
    site.hold = lambda: time.sleep(next(holds, 0.0))
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_a_slow_server_is_waited_for(site: Site, tmp_path: Path) -> None:
    site.hold = lambda: time.sleep(0.3)
    assert pull_asset(site.asset(), tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 1
