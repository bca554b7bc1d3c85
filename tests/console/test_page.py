"""The page in a real Chromium, by pixels."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import requests
from PIL import Image

from console.moving_feed import Alarm, MovingFeed, Settings, boxed, frame_of, sr_of
from patience import PATIENCE, busy
from sharpline.console.server import Server
from sharpline.console.stills import Stills, pictures_at
from sharpline.pixels.imresize import imresize
from sharpline.pixels.writing import write_image
from sharpline.runtime.upscaler import Upscaler

pytestmark = pytest.mark.slow

PIXELS = """id => {
  const canvas = document.getElementById(id);
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let i = 0; i < data.length; i += 30000) text += String.fromCharCode(...data.subarray(i, i + 30000));
  return [canvas.width, canvas.height, btoa(text)];
}"""


def canvas(page, name: str = "picture") -> np.ndarray:
    """The pixels of a canvas, H x W x 3."""
    width, height, data = page.evaluate(PIXELS, name)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[:, :, :3]


def corners(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Where in the image the window may begin, by its first pixels."""
    same = [(image[:, k : image.shape[1] - 8 + k] == window[0, k]).all(axis=2) for k in range(8)]
    return np.argwhere(np.logical_and.reduce(same))


def is_camera(pixels: np.ndarray) -> np.ndarray:
    """Where the camera's picture is shown: the feed makes it red, and the enlarged one blue."""
    return pixels[..., 0].astype(int) > pixels[..., 2].astype(int) + 30


def is_sr(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 2].astype(int) > pixels[..., 0].astype(int) + 30


def shows(page, holds: str, argument: object = None) -> None:
    """Waits until something holds in the page (playwright's own way needs eval, which the page's policy forbids)."""
    becomes(page, lambda: page.evaluate(holds, argument), holds)


def becomes(page, holds: Callable[[], object], words: str = "it did not come true") -> None:
    """Waits until something holds that the test itself finds out."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, words
        page.wait_for_timeout(40)


def reading(page, name: str) -> str:
    """The number beside the picture that has this name."""
    return page.inner_text(f"dt:text('{name}') + dd .value")


def is_live(page) -> None:
    shows(page, "document.getElementById('state').textContent === '● Live'")


def opened(page, server: Server) -> None:
    page.goto(server.url)
    shows(page, "document.getElementById('stamp').textContent.includes('picture')")


def number(page) -> int:
    return int(page.inner_text("#stamp").split("picture ")[1].split(" ")[0])


def test_the_picture_is_live(page, server, feed):
    feed.run(8)
    opened(page, server)
    first, before = number(page), canvas(page)
    shows(page, "n => Number(document.getElementById('stamp').textContent.split('picture ')[1]) > n + 3", first)
    becomes(page, lambda: np.abs(canvas(page).astype(int) - before).max() > 60)  # the bar has moved
    is_live(page)
    shows(page, "document.querySelector('.reading.large .value').textContent > 0")
    for said in ("edge-s-x4", "sha256 5f5f5f5f", "late 5, damaged 1", "640 × 480", "camera 160 × 120", "Reconnects"):
        becomes(page, lambda said=said: said in page.inner_text("#panel"), said)
    assert feed.latencies


def test_the_border_is_moved_by_mouse_and_keys(page, server, feed):
    feed.give()
    opened(page, server)

    def border() -> float:
        row = canvas(page)[250]
        used = np.flatnonzero(is_camera(row) | is_sr(row))
        camera = np.flatnonzero(is_camera(row))
        return (camera.max() - used.min()) / (used.max() - used.min()) if len(camera) else 0.0

    becomes(page, lambda: border() == pytest.approx(0.5, abs=0.02))
    box = page.locator("#handle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 160, y, steps=4)
    page.mouse.up()
    becomes(page, lambda: border() == pytest.approx(0.25, abs=0.02))
    becomes(page, lambda: int(page.get_attribute("#handle", "aria-valuenow")) == 25)
    page.keyboard.press("End")
    becomes(page, lambda: border() == pytest.approx(1, abs=0.01))
    page.keyboard.press("Home")
    becomes(page, lambda: border() == 0)
    page.locator("body").press("]")
    becomes(page, lambda: border() == pytest.approx(0.02, abs=0.01))


def test_one_key_shows_the_original(page, server, feed):
    feed.give()
    opened(page, server)
    becomes(page, lambda: is_sr(canvas(page)).any())
    page.keyboard.press("o")
    becomes(page, lambda: not is_sr(canvas(page)).any())
    assert "Original" in page.inner_text("#chip-camera")
    page.keyboard.press("o")
    becomes(page, lambda: is_sr(canvas(page)).any())
    page.keyboard.down("o")  # held: only while it is held
    page.wait_for_timeout(500)
    becomes(page, lambda: not is_sr(canvas(page)).any())
    page.keyboard.up("o")
    becomes(page, lambda: is_sr(canvas(page)).any())


def test_the_loupe_shows_exact_pixels_of_the_same_place_on_both_sides(page, server, feed):
    result = feed.give()
    opened(page, server)
    bicubic = imresize(result.frame.image, 4)
    page.keyboard.press("l")

    def place(zoom: int) -> tuple[int, int] | None:
        """What part of the picture both loupes show; None as long as they do not show the same."""
        left = canvas(page, "loupe-camera")
        right = canvas(page, "loupe-sr")
        height, width = [-(-n // zoom) for n in right.shape[:2]]
        window = right[::zoom, ::zoom]
        places = [
            (int(y), int(x))
            for y, x in corners(result.sr, window)
            if np.array_equal(result.sr[y : y + height, x : x + width], window)
            and np.array_equal(left[::zoom, ::zoom], bicubic[y : y + height, x : x + width])
        ]
        return places[0] if len(places) == 1 else None

    def check(zoom: int, moved: Callable[[tuple[int, int]], bool] = lambda found: True) -> tuple[int, int]:
        becomes(page, lambda: (found := place(zoom)) is not None and moved(found), f"the loupes at {zoom} : 1")
        found = place(zoom)
        assert found is not None
        return found

    first = check(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    check(1, lambda found: found == (first[0] + 24, first[1] + 24))
    page.keyboard.press("+")
    page.keyboard.press("+")
    third = check(4)
    assert page.inner_text("#loupe-zoom") == "4 : 1"
    box = page.locator("#loupe-sr").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 100, steps=4)
    page.mouse.up()
    fourth = check(4, lambda found: abs(found[1] - third[1] - 10) <= 1)  # 40 pixels of the screen
    page.keyboard.press("ArrowLeft")
    check(4, lambda found: found[1] < fourth[1])


def test_the_graphics_processor_enlarges_by_the_fields_bicubic(page, server, feed):
    feed.give()
    opened(page, server)
    image = np.random.default_rng(1).integers(0, 256, (9, 14, 3)).astype(np.uint8)
    for factor in (2, 3, 4):
        data = page.evaluate(
            """async ([pixels, width, height, factor]) => {
              const {Bicubic} = await import("/static/bicubic.js");
              const bicubic = new Bicubic(Infinity);
              if (!bicubic.works) return null;
              const bitmap = await createImageBitmap(new ImageData(new Uint8ClampedArray(pixels), width, height));
              const large = bicubic.enlarge(bitmap, factor);
              const context = new OffscreenCanvas(large.width, large.height).getContext("2d");
              context.drawImage(large, 0, 0);
              return [...context.getImageData(0, 0, large.width, large.height).data];
            }""",
            [np.dstack([image, np.full((9, 14), 255, np.uint8)]).ravel().tolist(), 14, 9, factor],
        )
        if data is None:
            pytest.skip("this Chromium has no WebGL 2")
        shown = np.array(data).reshape(9 * factor, 14 * factor, 4)[:, :, :3]
        assert np.abs(shown - imresize(image, factor).astype(int)).max() <= 1


def test_freeze_holds_the_picture_and_going_on_goes_on(page, server, feed):
    feed.run(8)
    opened(page, server)
    page.keyboard.press("f")
    shows(page, "document.getElementById('state').textContent.includes('Frozen')")
    page.wait_for_timeout(500)
    held, pixels = number(page), canvas(page)
    page.wait_for_timeout(1500)
    assert number(page) == held
    assert np.array_equal(canvas(page), pixels)
    assert "stale" not in page.get_attribute("#stage", "class")
    page.keyboard.press("l")  # the loupe looks into the frozen picture
    frozen = sr_of(frame_of(held))

    def within() -> bool:
        window = canvas(page, "loupe-sr")
        height, width = window.shape[:2]
        return any(np.array_equal(frozen[y : y + height, x : x + width], window) for y, x in corners(frozen, window))

    becomes(page, within)
    page.keyboard.press("Space")
    shows(page, "n => Number(document.getElementById('stamp').textContent.split('picture ')[1]) > n", held)
    is_live(page)


def test_save_downloads_what_is_seen(page, server, feed):
    feed.run(10)
    opened(page, server)
    page.keyboard.press("f")
    shows(page, "document.getElementById('state').textContent.includes('Frozen')")
    page.wait_for_timeout(500)
    held = number(page)
    with page.expect_download() as download:
        page.click("#t-save")
    assert download.value.suggested_filename == f"cam1-{held:08d}.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        files = {name.rpartition("-")[2]: archive.read(name) for name in archive.namelist()}
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["camera.png"]))), frame_of(held))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["upscaled.png"]))), sr_of(frame_of(held)))
    assert json.loads(files["data.json"])["number"] == held
    becomes(page, lambda: f"picture {held}" in page.inner_text("#toast"))
    page.keyboard.press("f")
    is_live(page)
    with page.expect_download():
        page.keyboard.press("s")  # live too
    is_live(page)


def test_an_alarm_is_seen_and_acknowledged(page, server, feed):
    feed.run(10)
    feed.alarm_list = [Alarm(1, "cam1", "too dark", time.monotonic()), Alarm(2, "cam1", "not sharp", time.monotonic())]
    opened(page, server)
    shows(page, "document.querySelectorAll('.alarm.active').length === 2")
    becomes(page, lambda: "2 alarms" in page.inner_text("#alarm-count"))
    becomes(page, lambda: page.title().startswith("▲ 2"))
    page.click("text=Acknowledge >> nth=1")
    shows(page, "document.querySelectorAll('.alarm.seen').length === 1")
    assert [alarm.acknowledged for alarm in feed.alarm_list] == [False, True]
    page.keyboard.press("a")
    shows(page, "document.querySelectorAll('.alarm.seen').length === 2")
    becomes(page, lambda: "2 seen" in page.inner_text("#alarm-count"))
    feed.alarm_list = []
    shows(page, "document.querySelectorAll('.alarm').length === 0")
    becomes(page, lambda: page.locator("#alarm-count").is_hidden())


def test_an_old_picture_is_greyed_with_its_age_whatever_the_browsers_clock_says(page, server, feed):
    page.add_init_script("const now = Date.now; Date.now = () => now() - 36e5;")
    feed.run(10)
    opened(page, server)
    is_live(page)
    feed.pause()
    feed.states["cam1"], feed.troubles["cam1"] = "reconnecting", "connection refused"
    shows(page, "document.getElementById('stage').classList.contains('stale')")
    shows(page, "parseFloat(document.getElementById('veil-title').textContent) >= 4")
    becomes(page, lambda: "connection refused" in page.inner_text("#veil-text"))
    assert page.inner_text("#state") == "↻ Reconnecting"
    age = float(page.inner_text("#veil-title").split(" ")[0])
    assert age == pytest.approx(time.monotonic() - feed.results["cam1"].frame.clock, abs=0.7 * busy())
    seen = np.asarray(
        Image.open(io.BytesIO(page.screenshot(clip={"x": 100, "y": 100, "width": 60, "height": 60})))
    ).astype(int)
    assert np.abs(seen[..., 0] - seen[..., 2]).max() <= 2  # no colour is left
    feed.states["cam1"], feed.troubles["cam1"] = "running", ""
    feed.pause(False)
    shows(page, "!document.getElementById('stage').classList.contains('stale')")
    becomes(page, lambda: page.locator("#veil").is_hidden())


def test_a_fallback_is_said_in_words(page, server, feed):
    feed.extra = {"method": "bicubic", "model_hash": "", "fallback": True}
    feed.limits = ("cam1 falls back to bicubic",)
    feed.run(10)
    opened(page, server)
    becomes(page, lambda: page.inner_text("#chip-sr") == "⚠ Bicubic: the model is too slow or fails")
    becomes(page, lambda: "no model" in page.inner_text("#readings"))
    shows(page, "document.getElementById('limits').textContent === '⚠ cam1 falls back to bicubic'")
    becomes(page, lambda: reading(page, "Difference") == "1.4")
    feed.extra = {"method": "passthrough", "model_hash": "", "fallback": True, "scale": 1, "sr": frame_of(0)}
    feed.extra["consistency"] = None
    shows(page, "document.getElementById('chip-sr').textContent.includes('Not upscaled')")
    becomes(page, lambda: reading(page, "Difference") == "–")
    assert page.locator("dt:text('Difference')").is_visible()


def test_differences_and_boxes_are_drawn_and_named(page, server, feed):
    feed.give(detections=(boxed(),))
    opened(page, server)
    boxes = canvas(page)
    page.keyboard.press("b")
    becomes(page, lambda: (np.abs(boxes.astype(int) - canvas(page)).max(axis=2) > 60).sum() > 300)
    plain = canvas(page)
    page.keyboard.press("h")
    shows(page, "!document.getElementById('legend').hidden")
    becomes(page, lambda: np.abs(canvas(page).astype(int) - plain).mean() > 10)
    assert page.inner_text("#legend-top") == "64+"  # red and blue are exchanged: differences of up to 140 levels


def test_several_cameras_as_tiles(page):
    feed = MovingFeed(("left", "right", "top"))
    feed.run(8)
    feed.alarm_list = [Alarm(1, "top", "too dark", time.monotonic())]
    with Server(feed, Settings()) as server:
        page.goto(server.url)
        shows(page, "document.querySelectorAll('.tile').length === 3")
        shows(page, "[...document.querySelectorAll('.tile .state')].every(s => s.textContent === '● Live')")
        assert page.locator(".tile.alarmed strong").inner_text().endswith("top")
        assert page.locator("#state").bounding_box()["width"] == 0  # each camera says its state by itself
        feed.states["right"] = "reconnecting"
        shows(page, "document.querySelectorAll('.tile.stale').length === 1")
        page.keyboard.press("1")
        shows(page, "document.getElementById('camera-name').textContent === 'left'")
        shows(page, "document.getElementById('stamp').textContent.includes('picture')")
        becomes(page, lambda: reading(page, "Difference") == "1.4")
        page.keyboard.press("Escape")
        page.click(".tile >> nth=2")
        shows(page, "document.getElementById('camera-name').textContent === 'top'")
        page.reload()  # stays at the camera that was looked at
        shows(page, "document.getElementById('camera-name').textContent === 'top'")
    feed.close()


def test_a_folder_that_nothing_was_put_into_is_not_called_live(page, server, feed):
    page.goto(server.url)
    shows(page, "document.getElementById('veil-title').textContent === 'No picture yet'")
    feed.give()
    becomes(page, lambda: page.locator("#veil").is_hidden())


def test_stills_are_browsed_with_the_arrow_keys(page, tmp_path):
    for k in range(3):
        write_image(tmp_path / f"p{k}.png", frame_of(k * 5, (60, 80)))
    (tmp_path / "p3.png").write_bytes(b"junk")
    with Server(Stills(pictures_at(tmp_path), Upscaler("bicubic", scale=2)), Settings()) as server:
        page.goto(server.url)
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        assert page.inner_text("#position") == "1 / 4"
        becomes(page, lambda: canvas(page).any())
        first = canvas(page)
        page.keyboard.press("ArrowRight")
        shows(page, "document.getElementById('camera-name').textContent === 'p1.png'")
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        becomes(page, lambda: np.abs(canvas(page).astype(int) - first).max() > 60)
        page.wait_for_timeout(1500)
        assert "stale" not in (page.get_attribute("#stage", "class") or "")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        shows(page, "document.getElementById('veil-title').textContent === 'Cannot be shown'")
        becomes(page, lambda: "p3.png" in page.inner_text("#veil-text"))
        for name in ("Upscaling", "Picture", "Made by"):
            assert reading(page, name) == "–", "nothing of the picture before"
        page.keyboard.press("ArrowLeft")
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        becomes(page, lambda: page.locator("#veil").is_hidden())


def test_the_page_comes_back_when_the_server_does(chromium, feed):
    feed.run(10)
    context = chromium.new_context()
    page = context.new_page()  # not the watched one: a browser complains of a server that is away
    server = Server(feed, Settings()).start()
    opened(page, server)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    server.stop()
    shows(page, "document.getElementById('state').textContent === '✕ No connection'")
    shows(page, "document.getElementById('stage').classList.contains('stale')")
    becomes(page, lambda: "connects again by itself" in page.inner_text("#veil-text"))
    with Server(feed, Settings(port=port)):
        is_live(page)
        shows(page, "!document.getElementById('stage').classList.contains('stale')")
    context.close()


def test_the_token_is_asked_for_and_kept(chromium, feed, monkeypatch):
    monkeypatch.setenv("LINE_TOKEN", "a token that nobody guesses")
    feed.run(10)
    context = chromium.new_context()
    page = context.new_page()
    with Server(feed, Settings(token_env="LINE_TOKEN")) as server:
        assert page.goto(server.url).status == 401
        page.fill("#token", "wrong")
        page.click("text=Open the page")
        shows(page, "document.getElementById('wrong')?.hidden === false")
        page.fill("#token", "a token that nobody guesses")
        page.click("text=Open the page")
        shows(page, "document.getElementById('stamp')?.textContent.includes('picture')")
        assert page.evaluate("document.cookie") == ""
        opened(page, server)  # no second time
        kiosk = chromium.new_context()
        bare = kiosk.new_page()
        bare.goto(f"{server.url}#token=a+token+that+nobody+guesses")
        shows(bare, "document.getElementById('stamp')?.textContent.includes('picture')")
        assert "token" not in bare.url
        kiosk.close()
    context.close()


def test_names_and_texts_are_never_taken_for_markup(page):
    name = "<img src=x onerror=alert(1)>"
    feed = MovingFeed((name,))
    feed.troubles[name] = feed_text = "<script>alert(2)</script>"
    feed.alarm_list = [Alarm(1, name, feed_text, time.monotonic())]
    feed.give(detections=(boxed("<b>x</b>"),))
    with Server(feed, Settings()) as server:
        opened(page, server)
        shows(page, "document.querySelectorAll('.alarm').length === 1")
        becomes(page, lambda: page.inner_text("#camera-name") == name)
        assert page.inner_text(".alarm p") == feed_text
        assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0


def test_the_policy_holds(chromium, server, feed):
    feed.give()
    context = chromium.new_context()
    page = context.new_page()
    opened(page, server)
    outcome = page.evaluate(
        """async () => {
          const broken = [];
          document.addEventListener("securitypolicyviolation", (event) => broken.push(event.effectiveDirective));
          const script = document.createElement("script");
          try {
            script.textContent = "window.ran = 1";
            document.body.append(script);
          } catch { broken.push("trusted-types"); }
          const image = new Image(); image.src = "http://127.0.0.1:9/x.png";
          await fetch("http://127.0.0.1:9/").catch(() => {});
          await new Promise((done) => setTimeout(done, 300));
          return [Boolean(window.ran), broken.join(" ")];
        }"""
    )
    assert outcome[0] is False
    for directive in ("img-src", "connect-src"):
        assert directive in outcome[1]
    context.close()


@pytest.mark.parametrize("size", [(1024, 600), (1920, 1080)])
def test_everything_is_in_reach_on_both_screens(page, server, feed, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    feed.alarm_list = [Alarm(1, "cam1", "differs from the camera's frame by 31.4 levels, limit 24", time.monotonic())]
    feed.run(5)
    opened(page, server)
    page.keyboard.press("l")
    becomes(page, lambda: page.locator("#loupe-sr").is_visible())
    page.wait_for_timeout(400)
    assert page.evaluate(
        "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
    )
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
        assert min(box["width"], box["height"]) >= 32  # a finger
    picture = page.locator("#picture").bounding_box()
    assert picture["width"] * picture["height"] > 0.38 * size[0] * size[1]
    page.keyboard.press("l")
    page.keyboard.press("?")
    becomes(page, lambda: page.locator("#help").is_visible())
    box = page.locator("#help").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size[1]
    page.keyboard.press("Escape")
    becomes(page, lambda: page.locator("#help").is_hidden())
    focused = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert page.evaluate(
            "[document.activeElement].every(e => e === document.body || getComputedStyle(e).outlineStyle === 'solid')"
        ), focused
    assert {"handle", "t-original", "t-loupe", "t-freeze", "Acknowledge"} <= focused


def test_text_has_enough_contrast(page, server, feed):
    feed.give()
    opened(page, server)
    names = ("text", "muted", "blue", "amber", "red", "green", "ground", "bar", "panel", "raised")
    look = "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    colours = [page.evaluate(look, f"--{name}") for name in names]

    def luminance(colour: str) -> float:
        values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for front in colours[:6]:
        for back in colours[6:]:
            assert (luminance(front) + 0.05) / (luminance(back) + 0.05) >= 4.5, (front, back)


def test_the_page_itself_makes_no_request_but_to_its_server(page, server, feed):
    feed.give()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, server)
    assert asked
    assert all(url.startswith((server.url, server.url.replace("http", "ws"))) for url in asked)
    assert requests.get(server.url).status_code == 200
