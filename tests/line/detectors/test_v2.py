"""A detector behind Open Inference Protocol v2: a small server on loopback that reads requests by itself."""

from __future__ import annotations

import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from patience import busy
from sharpline.line.detectors.config import DetectorConfig, V2Config
from sharpline.line.detectors.v2 import V2Detector
from sharpline.line.parts import DetectorError
from sharpline.line.sinks.config import make_detector

LENGTH = "Inference-Header-Content-Length"
NUMPY = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}
PROTOCOL = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}


class Server:
    """Finds the white part of the picture, as Triton would answer it."""

    def __init__(self) -> None:
        self.shape, self.datatype, self.layout = [-1, -1, -1, 3], "UINT8", "NHWC"
        self.extensions = ["binary_tensor_data"]
        self.labels = np.array([1])
        self.reply = None  # bytes to send in place of an answer
        self.status, self.delay, self.drip, self.cut = 200, 0.0, 0.0, False
        self.asked, self.pixels, self.binary = [], None, None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.send(self, *server.metadata(self.path))

            def do_POST(self) -> None:
                server.asked.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.send(self, *((b"", {}) if server.reply is not None else server.infer(body, self.headers)))

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def metadata(self, path: str):
        if path == "/v2":
            return {"name": "test", "version": "1", "extensions": self.extensions}, {}
        inputs = [{"name": "image", "datatype": self.datatype, "shape": self.shape}]
        return {"name": "faults", "platform": "test", "inputs": inputs, "outputs": []}, {}

    def infer(self, body: bytes, headers):
        time.sleep(self.delay)
        length = int(headers.get(LENGTH, len(body)))
        request = json.loads(body[:length])
        (entry,) = request["inputs"]
        self.binary = LENGTH in headers
        self.pixels = self.decoded(entry, body[length:])
        white = np.argwhere(self.pixels[:, :, 0] > (128 if self.pixels.max() > 1 else 0.5))
        (top, left), (bottom, right) = white.min(0), white.max(0) + 1
        boxes = np.array([[left, top, right, bottom]], np.float32)
        arrays = {"boxes": boxes, "scores": np.array([0.75], np.float32), "labels": self.labels}
        return self.encoded(arrays, request.get("parameters", {}).get("binary_data_output", False))

    def decoded(self, entry, rest):
        if entry["datatype"] == "BYTES":
            assert int(np.prod(entry["shape"])) == 1
            assert int.from_bytes(rest[:4], "little") == len(rest) - 4 == entry["parameters"]["binary_data_size"] - 4
            return np.asarray(Image.open(io.BytesIO(rest[4:])))
        kind = NUMPY[entry["datatype"]]
        if self.binary:
            assert entry["parameters"]["binary_data_size"] == len(rest)
            array = np.frombuffer(rest, kind)
        else:
            array = np.array(entry["data"], kind)
        array = array.reshape(entry["shape"])[0]
        return array if self.layout == "NHWC" else array.transpose(1, 2, 0)

    def encoded(self, arrays, binary):
        outputs, rest = [], b""
        for name, array in arrays.items():
            entry = {"name": name, "datatype": PROTOCOL[str(array.dtype)], "shape": list(array.shape)}
            texts = array.dtype == object
            if binary:
                data = array.tobytes()
                if texts:
                    data = b"".join(len(t).to_bytes(4, "little") + t for t in (x.encode() for x in array.ravel()))
                entry["parameters"] = {"binary_data_size": len(data)}
                rest += data
            else:
                entry["data"] = array.ravel().tolist()
            outputs.append(entry)
        head = json.dumps({"model_name": "faults", "outputs": outputs}).encode()
        return head + rest, {LENGTH: str(len(head))} if binary else {}

    def send(self, request, content, headers) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        body = body if self.reply is None else self.reply
        request.send_response(self.status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        if self.cut:
            body, request.close_connection = body[:-5], True
        for at in range(0, len(body), 40 if self.drip else len(body) or 1):
            request.wfile.write(body[at : at + 40] if self.drip else body)
            time.sleep(self.drip)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def detector_of(server, **settings) -> V2Detector:
    entry = {"url": server.url, "model": "faults", "labels": ["good", "bad"], **settings}
    return make_detector(DetectorConfig.model_validate({"v2": entry}))


def check(result) -> None:
    (found,) = result.detections
    assert (found.label, found.score) == ("bad", 0.75)
    assert found.box == pytest.approx((40, 20, 80, 60), abs=2)
    assert found.camera_box == pytest.approx((10, 5, 20, 15), abs=0.5)


@pytest.mark.parametrize("extensions", [["binary_tensor_data"], []])
@pytest.mark.parametrize(
    ("shape", "layout", "datatype"),
    [
        ([-1, -1, -1, 3], "NHWC", "UINT8"),
        ([1, 3, 192, 256], "NCHW", "UINT8"),
        ([1, 3, 128, 128], "NCHW", "FP32"),
        ([1, 100, 150, 3], "NHWC", "FP16"),
    ],
)
def test_pixels_go_there_and_boxes_come_back(server, make_result, extensions, shape, layout, datatype) -> None:
    server.extensions, server.shape, server.layout, server.datatype = extensions, shape, layout, datatype
    detector = detector_of(server)
    check(detector.detect(make_result()))
    assert server.binary == bool(extensions), "bytes where the server takes them, else JSON"
    sides = shape[1:3] if layout == "NHWC" else shape[2:4]
    assert server.pixels.shape == ((192, 256, 3) if -1 in shape else (*sides, 3))
    detector.close()


def test_metadata_are_read_once(server, make_result) -> None:
    detector = detector_of(server, version="7")
    for _ in range(3):
        check(detector.detect(make_result()))
    path = "/v2/models/faults/versions/7"
    assert server.asked == [path, "/v2", *[f"{path}/infer"] * 3]


@pytest.mark.parametrize(("shape", "datatype"), [([-1], "BYTES"), ([1, 1], "BYTES"), ([1, 128, 128, 3], "UINT8")])
def test_a_jpeg_goes_there(server, make_result, shape, datatype) -> None:
    server.shape, server.datatype = shape, datatype
    check(detector_of(server, encoding="jpeg").detect(make_result()))
    assert server.pixels.shape == ((192, 256, 3) if datatype == "BYTES" else (128, 128, 3))


def test_labels_can_be_texts(server, make_result) -> None:
    server.labels = np.array(["Kratzer"], object)
    for extensions in ([], ["binary_tensor_data"]):
        server.extensions = extensions
        (found,) = detector_of(server).detect(make_result()).detections
        assert found.label == "Kratzer"


def test_the_configuration_may_know_better_than_the_metadata(server, make_result) -> None:
    server.extensions = []
    check(detector_of(server, binary=True).detect(make_result()))
    assert server.binary


def test_a_server_that_hangs_is_given_up_in_time(server, make_result) -> None:
    detector = detector_of(server, timeout="300ms")
    check(detector.detect(make_result()))
    server.delay = 1.5
    began = time.monotonic()
    with pytest.raises(DetectorError, match=r"^v2 127.0.0.1:\d+ faults: no answer within 0.3 s$"):
        detector.detect(make_result())
    assert time.monotonic() - began < busy()


def test_a_server_that_drips_is_given_up_in_time(server, make_result) -> None:
    detector = detector_of(server, timeout="300ms")
    check(detector.detect(make_result()))
    server.drip = 0.2  # each read succeeds, the whole would take seconds
    began = time.monotonic()
    with pytest.raises(DetectorError, match="no answer within"):
        detector.detect(make_result())
    assert time.monotonic() - began < busy()


def test_a_server_that_stops_in_the_middle_is_given_up_in_time(server, make_result) -> None:
    detector = detector_of(server, timeout="300ms")
    check(detector.detect(make_result()))
    server.drip = 1.5
    with pytest.raises(DetectorError, match="no answer within"):
        detector.detect(make_result())
    server.drip, server.cut = 0.0, True
    with pytest.raises(DetectorError, match="no connection"):
        detector.detect(make_result())
    server.cut = False
    server.shape, server.layout = [1, 3, 192, 256], "NCHW"  # what came back may be another model
    check(detector.detect(make_result()))


def test_a_server_that_is_away_comes_back_and_is_asked_anew(server, make_result) -> None:
    away = V2Detector(V2Config(url="http://127.0.0.1:9", model="faults"))
    with pytest.raises(DetectorError, match="no connection; is the server running"):
        away.detect(make_result())
    detector = detector_of(server)
    server.status, server.reply = 503, b'{"error": "loading\\nthe model"}'
    with pytest.raises(DetectorError, match="the server says 503: loading the model"):
        detector.detect(make_result())
    server.status, server.reply = 200, None
    check(detector.detect(make_result()))
    server.shape, server.layout = [1, 3, 192, 256], "NCHW"  # another model under the same name
    server.status, server.reply = 400, b"unexpected shape"
    with pytest.raises(DetectorError, match="400: unexpected shape"):
        detector.detect(make_result())
    server.status, server.reply = 200, None
    check(detector.detect(make_result()))


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b'{"outputs": 3}',
        b'{"outputs": [{"name": "boxes", "datatype": "FP32", "shape": [1, 4], "data": [1]}]}',
        b'{"outputs": [{"name": "boxes", "datatype": "NONE", "shape": [1], "data": [1]}]}',
        b'{"outputs": [{"name": "boxes", "datatype": "FP32", "shape": [-5], "data": [1, "a"]}]}',
        b'{"outputs": [{"name": "boxes", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 99}}]}',
        b'{"outputs": [{"name": "boxes", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": "x"}}]}',
        b'{"outputs": [{"name": "labels", "datatype": "BYTES", "shape": [1], "parameters": null}]}',
        b"[" * 100_000,
    ],
)
def test_junk_is_one_line_for_the_operator(server, make_result, reply) -> None:
    detector = detector_of(server)
    check(detector.detect(make_result()))
    server.reply = reply
    with pytest.raises(DetectorError, match=r"^v2 127.0.0.1:\d+ faults: [^\n]+$"):
        detector.detect(make_result())
    with pytest.raises(DetectorError, match=r"^v2 127.0.0.1:\d+ faults: [^\n]+$"):
        detector.detect(make_result())  # now in place of the metadata


def test_a_model_that_takes_no_picture_is_said(server, make_result) -> None:
    server.shape, server.datatype = [-1, 16], "FP32"
    with pytest.raises(DetectorError, match="not that of one picture"):
        detector_of(server).detect(make_result())
    server.shape, server.datatype = [1, 64, 64, 3], "INT64"
    with pytest.raises(DetectorError, match="takes int64"):
        detector_of(server).detect(make_result())
    with pytest.raises(DetectorError, match="name one of them under 'input'"):
        detector_of(server, input="other").detect(make_result())
