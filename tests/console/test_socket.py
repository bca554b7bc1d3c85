import io
import json
import time
import tracemalloc
import zipfile
from contextlib import ExitStack
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
import simplejpeg
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus

from console.moving_feed import Alarm, MovingFeed, Settings, boxed, sr_of
from console.talking import Talker
from patience import busy, eventually
from sharpline.console.server import Server
from sharpline.pixels.imresize import imresize


def png(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def until(holds) -> None:
    assert eventually(holds)


def test_a_browser_gets_both_pictures_and_what_is_known_of_them(server, feed):
    result = feed.give(detections=(boxed(),), reused=0.25)
    with Talker(server.url) as browser:
        assert browser.hello["names"] == ["cam1"]
        assert browser.hello["stale_after"] == 3.0
        browser.look("cam1", camera=True)
        header, parts = browser.picture()
        assert (header["source"], header["number"], header["method"], header["fallback"]) == (
            "cam1",
            0,
            "edge-s-x4",
            False,
        )
        assert (header["model_sha256"], header["reused"]) == ("5f" * 32, 0.25)
        assert 0 <= header["age"] < 5 * busy()
        assert header["detections"][0]["box"] == [80, 80, 240, 200]
        assert np.abs(simplejpeg.decode_jpeg(parts["sr"]).astype(int) - result.sr).mean() < 6
        assert np.abs(simplejpeg.decode_jpeg(parts["camera"]).astype(int) - result.frame.image).mean() < 3


def test_the_next_picture_comes_only_after_the_last_was_drawn_and_is_the_newest(server, feed):
    feed.give()
    with Talker(server.url) as browser:
        browser.look("cam1")
        first, _ = browser.picture()
        for _ in range(30):
            feed.give()
        with pytest.raises(TimeoutError):
            browser.picture(timeout=0.4)
        browser.ack({"n": first["n"] + 5})  # of a picture that never was
        with pytest.raises(TimeoutError):
            browser.picture(timeout=0.4)
        browser.ack(first)
        assert browser.picture()[0]["number"] == 30


@pytest.mark.slow
def test_a_browser_that_never_answers_costs_no_memory(server, feed):
    feed.size = (240, 400)
    with Talker(server.url) as slow, Talker(server.url) as quick:
        slow.look("cam1", width=1280)
        quick.look("cam1", width=1280)

        def pass_on(count: int) -> None:
            for _ in range(count):
                feed.give()
                quick.ack(quick.picture()[0])

        tracemalloc.start()
        pass_on(30)  # what the server remembers for a moment is full by then
        before = tracemalloc.get_traced_memory()[0]
        pass_on(40)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    one = feed.results["cam1"].sr.nbytes
    assert grown < 4 * one  # 40 pictures went by


def test_only_what_has_changed_is_sent(server, feed):
    feed.give()
    with Talker(server.url) as browser:
        browser.look("cam1", camera=True)
        header, parts = browser.picture()
        assert set(parts) == {"sr", "camera"}
        browser.ack(header)
        window = {"x": 10, "y": 20, "width": 50, "height": 40}
        browser.look("cam1", camera=True, loupe=window)
        header, parts = browser.picture()
        assert set(parts) == {"loupe_sr", "loupe_camera"}
        browser.ack(header)
        browser.look("cam1", camera=True, loupe=window, heat=True)
        header, parts = browser.picture()
        assert set(parts) == {"heat"}
        browser.ack(header)
        feed.results["cam1"] = found = feed.results["cam1"].__class__(
            **{**feed.results["cam1"].__dict__, "detections": (boxed("dent"),)}
        )
        feed.wake("cam1")
        header, parts = browser.picture()
        assert parts == {}
        assert header["detections"][0]["label"] == found.detections[0].label
        browser.ack(header)
        with pytest.raises(TimeoutError):
            browser.picture(timeout=0.7)


def test_the_loupe_is_exact_on_both_sides(server, feed):
    result = feed.give()
    with Talker(server.url) as browser:
        browser.look("cam1", loupe={"x": 33, "y": 47, "width": 64, "height": 50})
        _, parts = browser.picture()
    cut = slice(47, 97), slice(33, 97)
    assert np.array_equal(png(parts["loupe_sr"]), result.sr[cut])
    assert np.array_equal(png(parts["loupe_camera"]), imresize(result.frame.image, 4)[cut])


def test_a_frozen_picture_stays_and_can_be_looked_at_and_saved(server, feed):
    frozen = feed.give()
    with Talker(server.url) as browser:
        browser.look("cam1")
        header, _ = browser.picture()
        browser.say(type="hold", n=header["n"], freeze=True)
        assert browser.message("held")["number"] == 0
        browser.ack(header)
        for _ in range(3):
            feed.give()
        with pytest.raises(TimeoutError):
            browser.picture(timeout=0.5)
        browser.look("cam1", loupe={"x": 0, "y": 0, "width": 30, "height": 30})
        header, parts = browser.picture()
        assert (header["number"], header["frozen"]) == (0, True)
        assert np.array_equal(png(parts["loupe_sr"]), frozen.sr[:30, :30])
        browser.ack(header)
        answer = requests.get(f"{server.url}pair", params={"socket": browser.hello["socket"]})
        assert answer.headers["content-disposition"] == 'attachment; filename="cam1-00000000.zip"'
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert np.array_equal(png(archive.read("cam1-00000000-upscaled.png")), frozen.sr)
        browser.say(type="live")
        header, _ = browser.picture()
        assert (header["number"], header["frozen"]) == (3, False)
    assert requests.get(f"{server.url}pair", params={"socket": browser.hello["socket"]}).status_code == 404


def test_a_picture_is_saved_while_the_next_ones_come(server, feed):
    feed.give()
    with Talker(server.url) as browser:
        browser.look("cam1")
        header, _ = browser.picture()
        browser.ack(header)
        feed.give()
        later, _ = browser.picture()
        browser.say(type="hold", n=header["n"], freeze=False)
        assert browser.message("held")["number"] == 0
        browser.ack(later)
        feed.give()
        assert browser.picture()[0]["number"] == 2  # live all the while
        answer = requests.get(f"{server.url}pair", params={"socket": browser.hello["socket"]})
        assert "cam1-00000000.zip" in answer.headers["content-disposition"]


def test_pictures_that_browsers_hold_are_few(server, feed):
    feed.give()
    with ExitStack() as stack:
        browsers = [stack.enter_context(Talker(server.url)) for _ in range(9)]
        answers = []
        for browser in browsers:
            browser.look("cam1")
            header, _ = browser.picture()
            browser.say(type="hold", n=header["n"], freeze=True)
            answers.append(browser.message("held"))
        assert ["refused" in answer for answer in answers] == [False] * 8 + [True]


def test_the_fifty_first_browser_is_told_why_it_waits(server, feed):
    feed.give()
    with ExitStack() as stack:
        browsers = [stack.enter_context(Talker(server.url)) for _ in range(50)]
        for browser in browsers:
            browser.look("cam1")
        for browser in browsers:
            browser.ack(browser.picture()[0])
        feed.give()
        assert [browser.picture()[0]["number"] for browser in browsers] == [1] * 50
        with pytest.raises(ConnectionClosed) as refused:
            Talker(server.url)
        assert refused.value.rcvd.code == 4503
        assert "all 50 places are taken" in refused.value.rcvd.reason
        browsers[0].close()
        until(lambda: feed.watched() == 49)
        with Talker(server.url) as late:
            late.look("cam1")
            assert late.picture()[0]["number"] == 1
    until(lambda: feed.watched() == 0)


def test_the_status_says_everything_beside_the_picture(server, feed):
    now = time.monotonic()
    feed.alarm_list = [Alarm(4, "cam1", "too dark", now - 3), Alarm(5, "", "outbox full", now - 9, acknowledged=True)]
    feed.limits = ("the outbox is nearly full",)
    feed.give()
    with Talker(server.url) as browser:
        status = browser.message("status")
        source = status["sources"]["cam1"]
        assert (source["state"], source["reconnects"], source["dropped"]) == ("running", 2, {"late": 5, "damaged": 1})
        assert source["age"] < 5 * busy()
        assert [(alarm["number"], alarm["acknowledged"]) for alarm in status["alarms"]] == [(4, False), (5, True)]
        assert 3 <= status["alarms"][0]["age"] < 8 * busy()
        assert status["limits"] == ["the outbox is nearly full"]
        browser.say(type="acknowledge", alarm=4)
        until(lambda: feed.alarm_list[0].acknowledged)
        until(lambda: browser.message("status")["alarms"][0]["acknowledged"])


def test_the_time_from_capture_to_screen_is_measured_and_handed_on(server, feed):
    with Talker(server.url) as browser:
        browser.look("cam1")
        for k in range(4):
            feed.give()
            header, _ = browser.picture()
            time.sleep(0.1)
            browser.ack(header, drawn=k != 1)
        until(lambda: len(feed.latencies) == 3)  # the one that was not drawn tells nothing
        assert all(0.1 < latency < 2 * busy() for latency in feed.latencies)
        status = browser.message("status")
        while status["screen"]["latency"] is None:
            status = browser.message("status")
        assert 0.1 < status["screen"]["latency"] <= status["screen"]["latency_95"] < 2 * busy()


def test_a_picture_that_was_old_when_it_was_sent_is_no_latency(server, feed):
    feed.give()
    feed.stale_after = 0.2
    time.sleep(0.3)
    with Talker(server.url) as browser:
        browser.look("cam1")
        header, parts = browser.picture()
        assert "sr" in parts
        browser.ack(header)
        browser.say(type="hold", n=header["n"], freeze=False)
        browser.message("held")  # the answer to what came after
        assert browser.message("status")["screen"]["latency"] is None
    assert feed.latencies == []


def test_several_cameras_take_turns():
    feed = MovingFeed(("a", "b", "c"))
    for name in feed.names:
        feed.give(name)
    with Server(feed, Settings()) as server, Talker(server.url) as browser:
        browser.look("a", "b", "c", width=160)
        seen = []
        for _ in range(9):
            header, parts = browser.picture()
            assert set(parts) == {"sr"}
            seen.append(header["source"])
            for name in feed.names:
                feed.give(name)
            browser.ack(header)
    assert seen == ["a", "b", "c"] * 3


JUNK = [
    "", "{", "[]", "null", b"\0\1\2", "[" * 3000, "x" * 17000,
    '{"type": "nothing"}', '{"type": "ack"}', '{"type": "ack", "n": "1"}', '{"type":"ack","n":1e999}',
    '{"type":"view","sources":"cam1"}', '{"type":"view","sources":[],"width":0}',
    '{"type":"view","sources":[],"path":"/etc/passwd"}', json.dumps({"type": "view", "sources": ["x"] * 65}),
    '{"type":"view","sources":[],"loupe":{"x":-1,"y":0,"width":1,"height":1}}',
    '{"type":"view","sources":[],"loupe":{"x":0,"y":0,"width":99999,"height":1}}',
]  # fmt: skip


@pytest.mark.parametrize("said", JUNK)
def test_who_does_not_speak_the_pages_language_is_sent_away(server, feed, said):
    browser = Talker(server.url)
    browser.socket.send(said)
    with pytest.raises(ConnectionClosed) as closed:
        browser.message("a message that never comes")
    assert closed.value.rcvd.code in (4400, 1009)
    with Talker(server.url) as other:
        assert other.hello


def test_a_camera_that_does_not_exist_is_not_shown(server, feed):
    feed.give()
    with Talker(server.url) as browser:
        browser.look("../cam1", "cam2")
        with pytest.raises(TimeoutError):
            browser.picture(timeout=0.5)
        browser.look("cam2", "cam1", "cam1")
        assert browser.picture()[0]["source"] == "cam1"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", None, "http://127.0.0.1"])
def test_another_sites_page_gets_no_socket(server, origin, caplog):
    with pytest.raises(InvalidStatus) as refused:
        Talker(server.url, Origin=origin)
    assert refused.value.response.status_code == 403
    assert requests.get(f"{server.url}healthz").status_code == 503  # what the server has to say of it is said by now
    assert not caplog.records


def test_without_the_token_there_is_no_socket(feed, monkeypatch):
    monkeypatch.setenv("LINE_TOKEN", "a token that nobody guesses")
    with Server(feed, Settings(token_env="LINE_TOKEN")) as server:
        with pytest.raises(InvalidStatus) as refused:
            Talker(server.url)
        assert refused.value.response.status_code == 401
        with Talker(server.url, Authorization="Bearer a token that nobody guesses") as browser:
            assert browser.hello["type"] == "hello"


def test_a_name_that_is_rebound_gets_no_socket(server):
    with pytest.raises(InvalidStatus) as refused:
        Talker(server.url, Origin="http://evil.example", Host="evil.example")
    assert refused.value.response.status_code in (400, 421)


def test_browsers_hear_when_the_server_ends(feed):
    with Server(feed, Settings()) as server:
        browser = Talker(server.url)
        browser.look("cam1")
        until(lambda: feed.watched() == 1)
    with pytest.raises(ConnectionClosed) as closed:
        browser.message("a message that never comes")
    assert closed.value.rcvd.code == 1012
    until(lambda: feed.watched() == 0)
    feed.give()  # the feed does not notice
    assert urlsplit(server.url).port


def test_sr_of_the_feed_is_not_its_frame():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert not np.array_equal(sr_of(image)[::4, ::4], image)
