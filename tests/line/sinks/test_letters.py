"""Dead letters are seen, sent again and deleted, and nobody's file is spoilt by looking."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sharpline.errors import UsageError
from sharpline.line.sinks import letters
from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox

HOOK, BROKER = "webhook 127.0.0.1:9/x", "mqtt 127.0.0.1:1883 t"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An outbox: of the webhook's three events the first and the last are refused, the broker's one waits."""
    file = tmp_path / "outbox.sqlite"
    held = Outbox(OutboxConfig(path=file))
    for number in range(3):
        held.put(HOOK, Parcel(f"id{number}", "{}", {"sr": bytes(5000)}))
        if number != 1:
            held.bury(number + 1, f"410 Gone, {number}")
    held.put(BROKER, Parcel("id9", "{}", {}))
    held.close()
    return file


def refused(path: Path) -> list[tuple[str, str]]:
    return [(letter.id, letter.reason) for letter in letters.look(path).dead]


def test_what_is_held_is_told_and_stays(path: Path) -> None:
    before = path.read_bytes()
    assert letters.look(path).waiting == {BROKER: 1, HOOK: 1}
    assert refused(path) == [("id0", "410 Gone, 0"), ("id2", "410 Gone, 2")]
    assert path.read_bytes() == before


def test_it_is_told_of_a_line_that_runs_which_is_not_disturbed(path: Path) -> None:
    held = Outbox(OutboxConfig(path=path))
    held.put(BROKER, Parcel("id10", "{}", {}))
    assert letters.look(path).waiting == {BROKER: 2, HOOK: 1}
    for change in (letters.revive, letters.discard):
        with pytest.raises(UsageError, match="stop that one first"):
            change(path)
    held.close()
    assert len(letters.look(path).dead) == 2


def test_letters_that_are_revived_are_delivered_in_their_old_places(path: Path) -> None:
    assert letters.revive(path) == 2
    assert letters.look(path).waiting == {BROKER: 1, HOOK: 3}
    held, ids = Outbox(OutboxConfig(path=path)), []
    while (entry := held.first(HOOK)) is not None:
        assert entry.parcel.pictures == {"sr": bytes(5000)}
        ids.append(entry.parcel.id)
        held.ack(entry.number)
    held.close()
    assert ids == ["id0", "id1", "id2"]
    assert letters.revive(path) == 0


def test_letters_that_are_discarded_are_gone_with_their_pictures(path: Path) -> None:
    assert letters.discard(path) == 2
    assert refused(path) == []
    assert letters.look(path).waiting == {BROKER: 1, HOOK: 1}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM pictures").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize("content", [None, b"no database at all" * 99, "another's"])
@pytest.mark.parametrize("act", [letters.look, letters.revive, letters.discard])
def test_what_is_no_outbox_is_refused_and_left_alone(act, content, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    if content == "another's":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE events (a)")
        connection.close()
    elif content is not None:
        path.write_bytes(content)
    before = path.read_bytes() if content is not None else None
    with pytest.raises(UsageError, match="thing"):
        act(path)
    assert list(tmp_path.iterdir()) == ([] if content is None else [path])
    assert content is None or path.read_bytes() == before
