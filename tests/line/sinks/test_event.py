"""What a receiver is told."""

from __future__ import annotations

import base64
import io
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sharpline.line.sinks.event import Event, parcel_of
from sharpline.line.sinks.trigger import Occasion

PAGE = Path(__file__).parents[3] / "docs" / "sinks.md"
OCCASION = Occasion("every", {"late": 2})


def event_of(result, shown=("sr", "camera")):
    return Event.model_validate_json(parcel_of(result, OCCASION, list(shown)).body())


def picture(entry) -> Image.Image:
    data = base64.b64decode(entry.data)
    assert sha256(data).hexdigest() == entry.sha256
    return Image.open(io.BytesIO(data))


def test_an_event_says_all_that_is_known(make_result, scratch) -> None:
    result = make_result(7, consistency=1.5, alarms=("too dark",), detections=(scratch,))
    event = event_of(result)
    assert (event.source, event.frame, event.time) == ("cam1", 7, "2023-11-14T22:13:20.280Z")
    assert (event.method, event.model_hash, event.fallback, event.scale) == ("edge-s-x2", "ab" * 32, False, 2)
    assert (event.size, event.camera_size) == ((40, 32), (20, 16))
    assert (event.consistency, event.alarms, event.dropped) == (1.5, ["too dark"], {"late": 2})
    assert event.latency == pytest.approx(0.02)
    assert event.detections[0].model_dump() == {
        "label": "scratch", "score": 0.75, "box": (2.0, 4.0, 8.0, 12.0), "camera_box": (1.0, 2.0, 4.0, 6.0),
    }  # fmt: skip


def test_pictures_are_jpegs_of_what_they_are_called(make_result) -> None:
    image = np.zeros((16, 20, 3), np.uint8)
    image[:, :10] = 200, 30, 60  # noise would not survive JPEG
    result = make_result(0, sr=image.repeat(2, 0).repeat(2, 1))
    pictures = event_of(result).pictures
    assert pictures.fallback is None
    assert picture(pictures.camera).size == (20, 16)
    shown = picture(pictures.sr)
    assert shown.format == "JPEG"
    assert np.abs(np.asarray(shown, int) - result.sr).max() <= 12
    assert shown.info["comment"].startswith(b"cam1 frame 0, 2023-11-14T22:13:20.000Z: edge-s-x2 x2")


@pytest.mark.parametrize(("method", "scale"), [("bicubic", 2), ("passthrough", 1), ("edge-xs-x2", 2)])
def test_a_fallback_is_never_passed_off_as_the_models_picture(make_result, method, scale) -> None:
    event = event_of(make_result(0, method=method, scale=scale, model_hash="", fallback=True))
    assert event.pictures.sr is None
    assert event.fallback
    assert event.model_hash is None
    note = picture(event.pictures.fallback).info["comment"].decode()
    assert note.endswith(f"{method} x{scale} (fallback, not the configured model)")


def test_16_bit_and_grey_frames_become_pictures(make_result) -> None:
    result = make_result(0, dtype=np.uint16, channels=1)
    assert picture(event_of(result).pictures.sr).mode == "RGB"


def test_the_key_is_drawn_once_and_each_event_has_its_own(make_result) -> None:
    parcels = [parcel_of(make_result(0), OCCASION, ["sr"]) for _ in range(2)]
    assert parcels[0].id != parcels[1].id
    bodies = [parcels[0].body() for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["id"] == parcels[0].id


def test_a_number_that_is_not_finite_is_left_out(make_result) -> None:
    assert event_of(make_result(0, consistency=float("nan"))).consistency is None


def test_the_page_shows_the_schema_as_it_is() -> None:
    text = PAGE.read_text()
    start = text.index("```json", text.index("<!-- schema -->")) + len("```json")
    assert json.loads(text[start : text.index("```", start)]) == Event.model_json_schema()
