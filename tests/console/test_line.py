"""The page on a real line: the test pattern, enlarged by bicubic."""

import pytest
import requests

from console.talking import Talker
from sharpline.console.server import Server

config = pytest.importorskip("sharpline.line.config", reason="the line needs sharpline[line]")
running = pytest.importorskip("sharpline.line.running", reason="the line needs sharpline[line]")


def test_a_line_is_shown():
    given = {
        "sources": [{"name": "test", "pattern": {"size": (64, 48), "fps": 10}}],
        "model": "bicubic",
        "view": {"port": 0},
        "flow": {"deadline": "30s", "rate": 0.01, "threads": 1},
        "guard": {"age": "60s"},
    }
    settings = config.parse_line(given)
    with running.Line(settings) as line, Server(line, settings.view) as server, Talker(server.url) as browser:
        assert browser.hello["names"] == ["test"]
        browser.look("test", camera=True, heat=True, loupe={"x": 0, "y": 0, "width": 32, "height": 32})
        numbers = []
        while len(numbers) < 4:
            header, parts = browser.picture()
            browser.ack(header)
            if "sr" in parts:
                numbers.append(header["number"])
        assert numbers == sorted(set(numbers))
        assert (header["method"], header["size"]) == ("bicubic", [64 * header["scale"], 48 * header["scale"]])
        answer = requests.get(f"{server.url}healthz")
        assert answer.status_code == 200, answer.text
        assert "test" in requests.get(f"{server.url}metrics").text
        browser.say(type="hold", n=header["n"], freeze=True)
        assert browser.message("held")["source"] == "test"
        assert requests.get(f"{server.url}pair", params={"socket": browser.hello["socket"]}).content[:2] == b"PK"
