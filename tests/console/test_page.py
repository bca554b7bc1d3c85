"""The page in a real Chromium, by pixels."""

import base64
import io
import json
import time
import zipfile

import numpy as np
import pytest
import requests
from PIL import Image

from console.moving_feed import Alarm, MovingFeed, Settings, boxed, frame_of, sr_of
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


def shows(page, holds: str, argument: object = None, seconds: float = 20) -> None:
    """Waits until something holds in the page (playwright's own way needs eval, which the page's policy forbids)."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(holds, argument):
        assert time.monotonic() < deadline, holds
        page.wait_for_timeout(40)


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
    assert np.abs(canvas(page).astype(int) - before).max() > 60  # the bar has moved
    assert page.inner_text("#state") == "● Live"
    shows(page, "document.querySelector('.reading.large .value').textContent > 0")
    text = page.inner_text("#panel")
    for said in ("edge-s-x4", "sha256 5f5f5f5f", "late 5, damaged 1", "640 × 480", "camera 160 × 120", "Reconnects"):
        assert said in text
    assert feed.latencies


def test_the_border_is_moved_by_mouse_and_keys(page, server, feed):
    feed.give()
    opened(page, server)

    def border() -> float:
        row = canvas(page)[250]
        used = np.flatnonzero(is_camera(row) | is_sr(row))
        camera = np.flatnonzero(is_camera(row))
        return (camera.max() - used.min()) / (used.max() - used.min()) if len(camera) else 0.0

    assert border() == pytest.approx(0.5, abs=0.02)
    box = page.locator("#handle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 160, y, steps=4)
    page.mouse.up()
    shown = page.evaluate("document.getElementById('handle').ariaValueNow") or page.get_attribute(
        "#handle", "aria-valuenow"
    )
    assert border() == pytest.approx(0.25, abs=0.02)
    assert int(shown) == 25
    page.keyboard.press("End")
    page.wait_for_timeout(100)
    assert border() == pytest.approx(1, abs=0.01)
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    assert border() == 0
    page.locator("body").press("]")
    page.wait_for_timeout(100)
    assert border() == pytest.approx(0.02, abs=0.01)


def test_one_key_shows_the_original(page, server, feed):
    feed.give()
    opened(page, server)
    page.keyboard.press("o")
    page.wait_for_timeout(150)
    assert not is_sr(canvas(page)).any()
    assert "Original" in page.inner_text("#chip-camera")
    page.keyboard.press("o")
    page.wait_for_timeout(150)
    assert is_sr(canvas(page)).any()
    page.keyboard.down("o")  # held: only while it is held
    page.wait_for_timeout(500)
    assert not is_sr(canvas(page)).any()
    page.keyboard.up("o")
    page.wait_for_timeout(150)
    assert is_sr(canvas(page)).any()


def test_the_loupe_shows_exact_pixels_of_the_same_place_on_both_sides(page, server, feed):
    result = feed.give()
    opened(page, server)
    bicubic = imresize(result.frame.image, 4)
    page.keyboard.press("l")

    def check(zoom: int) -> tuple[int, int]:
        page.wait_for_timeout(600)
        left = canvas(page, "loupe-camera")
        right = canvas(page, "loupe-sr")
        size = [-(-n // zoom) for n in right.shape[:2]]
        window = right[::zoom, ::zoom]
        places = [
            (y, x)
            for y, x in corners(result.sr, window)
            if np.array_equal(result.sr[y : y + size[0], x : x + size[1]], window)
        ]
        assert len(places) == 1
        y, x = places[0]
        assert np.array_equal(left[::zoom, ::zoom], bicubic[y : y + size[0], x : x + size[1]])
        return y, x

    first = check(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    second = check(1)
    assert (second[0] - first[0], second[1] - first[1]) == (24, 24)
    page.keyboard.press("+")
    page.keyboard.press("+")
    check(4)
    assert page.inner_text("#loupe-zoom") == "4 : 1"
    box = page.locator("#loupe-sr").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 100, steps=4)
    page.mouse.up()
    fourth = check(4)
    page.keyboard.press("ArrowLeft")
    assert check(4)[1] < fourth[1]


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
    page.wait_for_timeout(500)
    page.keyboard.press("f")
    shows(page, "document.getElementById('state').textContent.includes('Frozen')")
    page.wait_for_timeout(500)
    held, pixels = number(page), canvas(page)
    page.wait_for_timeout(1500)
    assert number(page) == held
    assert np.array_equal(canvas(page), pixels)
    assert "stale" not in page.get_attribute("#stage", "class")
    page.keyboard.press("l")  # the loupe looks into the frozen picture
    page.wait_for_timeout(600)
    frozen = sr_of(frame_of(held))
    window = canvas(page, "loupe-sr")
    assert any(
        np.array_equal(frozen[y : y + len(window), x : x + window.shape[1]], window) for y, x in corners(frozen, window)
    )
    page.keyboard.press("Space")
    shows(page, "n => Number(document.getElementById('stamp').textContent.split('picture ')[1]) > n", held)
    assert page.inner_text("#state") == "● Live"


def test_save_downloads_what_is_seen(page, server, feed):
    feed.run(10)
    opened(page, server)
    page.keyboard.press("f")
    page.wait_for_timeout(700)
    held = number(page)
    with page.expect_download() as download:
        page.click("#t-save")
    assert download.value.suggested_filename == f"cam1-{held:08d}.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        files = {name.rpartition("-")[2]: archive.read(name) for name in archive.namelist()}
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["camera.png"]))), frame_of(held))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["upscaled.png"]))), sr_of(frame_of(held)))
    assert json.loads(files["data.json"])["number"] == held
    assert f"picture {held}" in page.inner_text("#toast")
    page.keyboard.press("f")
    page.wait_for_timeout(500)
    with page.expect_download():
        page.keyboard.press("s")  # live too
    assert page.inner_text("#state") == "● Live"


def test_an_alarm_is_seen_and_acknowledged(page, server, feed):
    feed.run(10)
    feed.alarm_list = [Alarm(1, "cam1", "too dark", time.monotonic()), Alarm(2, "cam1", "not sharp", time.monotonic())]
    opened(page, server)
    shows(page, "document.querySelectorAll('.alarm.active').length === 2")
    assert "2 alarms" in page.inner_text("#alarm-count")
    assert page.title().startswith("▲ 2")
    page.click("text=Acknowledge >> nth=1")
    shows(page, "document.querySelectorAll('.alarm.seen').length === 1")
    assert [alarm.acknowledged for alarm in feed.alarm_list] == [False, True]
    page.keyboard.press("a")
    shows(page, "document.querySelectorAll('.alarm.seen').length === 2")
    assert "2 seen" in page.inner_text("#alarm-count")
    feed.alarm_list = []
    shows(page, "document.querySelectorAll('.alarm').length === 0")
    assert page.locator("#alarm-count").is_hidden()


def test_an_old_picture_is_greyed_with_its_age_whatever_the_browsers_clock_says(page, server, feed):
    page.add_init_script("const now = Date.now; Date.now = () => now() - 36e5;")
    feed.run(10)
    opened(page, server)
    assert "stale" not in (page.get_attribute("#stage", "class") or "")
    feed.pause()
    feed.states["cam1"], feed.troubles["cam1"] = "reconnecting", "connection refused"
    shows(page, "document.getElementById('stage').classList.contains('stale')")
    shows(page, "parseFloat(document.getElementById('veil-title').textContent) >= 3")
    assert "connection refused" in page.inner_text("#veil-text")
    assert page.inner_text("#state") == "↻ Reconnecting"
    age = float(page.inner_text("#veil-title").split(" ")[0])
    assert age == pytest.approx(time.monotonic() - feed.results["cam1"].frame.clock, abs=0.7)
    seen = np.asarray(
        Image.open(io.BytesIO(page.screenshot(clip={"x": 100, "y": 100, "width": 60, "height": 60})))
    ).astype(int)
    assert np.abs(seen[..., 0] - seen[..., 2]).max() <= 2  # no colour is left
    feed.states["cam1"], feed.troubles["cam1"] = "running", ""
    feed.pause(False)
    shows(page, "!document.getElementById('stage').classList.contains('stale')")
    assert page.locator("#veil").is_hidden()


def test_a_fallback_is_said_in_words(page, server, feed):
    feed.extra = {"method": "bicubic", "model_hash": "", "fallback": True}
    feed.limits = ("cam1 falls back to bicubic",)
    feed.run(10)
    opened(page, server)
    assert page.inner_text("#chip-sr") == "⚠ Bicubic: the machine is too slow"
    assert "no model" in page.inner_text("#readings")
    shows(page, "document.getElementById('limits').textContent === '⚠ cam1 falls back to bicubic'")
    feed.extra = {"method": "passthrough", "model_hash": "", "fallback": True, "scale": 1, "sr": frame_of(0)}
    shows(page, "document.getElementById('chip-sr').textContent.includes('Not upscaled')")


def test_differences_and_boxes_are_drawn_and_named(page, server, feed):
    feed.give(detections=(boxed(),))
    opened(page, server)
    boxes = canvas(page)
    page.keyboard.press("b")
    page.wait_for_timeout(150)
    plain = canvas(page)
    assert (np.abs(boxes.astype(int) - plain).max(axis=2) > 60).sum() > 300
    page.keyboard.press("h")
    shows(page, "!document.getElementById('legend').hidden")
    page.wait_for_timeout(200)
    assert np.abs(canvas(page).astype(int) - plain).mean() > 10
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
        feed.states["right"] = "reconnecting"
        shows(page, "document.querySelectorAll('.tile.stale').length === 1")
        page.keyboard.press("1")
        shows(page, "document.getElementById('camera-name').textContent === 'left'")
        shows(page, "document.getElementById('stamp').textContent.includes('picture')")
        page.keyboard.press("Escape")
        page.click(".tile >> nth=2")
        shows(page, "document.getElementById('camera-name').textContent === 'top'")
        page.reload()  # stays at the camera that was looked at
        shows(page, "document.getElementById('camera-name').textContent === 'top'")
    feed.close()


def test_stills_are_browsed_with_the_arrow_keys(page, tmp_path):
    for k in range(3):
        write_image(tmp_path / f"p{k}.png", frame_of(k * 5, (60, 80)))
    (tmp_path / "p3.png").write_bytes(b"junk")
    with Server(Stills(pictures_at(tmp_path), Upscaler("bicubic", scale=2)), Settings()) as server:
        page.goto(server.url)
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        assert page.inner_text("#position") == "1 / 4"
        page.wait_for_timeout(300)
        first = canvas(page)
        page.keyboard.press("ArrowRight")
        shows(page, "document.getElementById('camera-name').textContent === 'p1.png'")
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        page.wait_for_timeout(300)
        assert np.abs(canvas(page).astype(int) - first).max() > 60
        page.wait_for_timeout(1500)
        assert "stale" not in (page.get_attribute("#stage", "class") or "")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        shows(page, "document.getElementById('veil-title').textContent === 'Cannot be shown'")
        assert "p3.png" in page.inner_text("#veil-text")
        page.keyboard.press("ArrowLeft")
        shows(page, "document.getElementById('state').textContent === '● Ready'")
        assert page.locator("#veil").is_hidden()


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
    assert "connects again by itself" in page.inner_text("#veil-text")
    with Server(feed, Settings(port=port)):
        shows(page, "document.getElementById('state').textContent === '● Live'", seconds=15)
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
        assert page.inner_text("#camera-name") == name
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
    assert page.locator("#help").is_visible()
    box = page.locator("#help").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size[1]
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
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
