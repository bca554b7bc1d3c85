"""A fault detector on a server that speaks Open Inference Protocol v2: Triton, KServe, OpenVINO Model Server."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import requests
import urllib3
from PIL import Image

from sharpline.errors import ModelError
from sharpline.line.detectors import v2_wire
from sharpline.line.detectors.answers import Reader
from sharpline.line.detectors.config import V2Config
from sharpline.line.detectors.feeding import Input, fitted, input_of, tensor_of
from sharpline.line.frame import Array, Result
from sharpline.line.parts import DetectorError

_CONNECT = 1.0  # seconds
_LARGEST = 64 << 20  # bytes of an answer
_BLOCK = 1 << 16
_QUALITY = 95


@dataclass(frozen=True)
class _Model:
    """What the server says about itself and the model.

    Attributes:
        input: Name of the input.
        datatype: In the protocol's words.
        wanted: Size and layout; BYTES have any size.
        shape: Of a BYTES tensor with one element.
        binary: Whether tensors travel as bytes.
    """

    input: str
    datatype: str
    wanted: Input
    shape: list[int]
    binary: bool


class V2Detector:
    """See :class:`sharpline.line.parts.Detector`. Metadata are read at the first frame, and after a failure.

    Args:
        config: The server, and how its answers are read.

    Raises:
        UsageError: The file of labels cannot be read.
    """

    def __init__(self, config: V2Config) -> None:
        self._config = config
        self._base = config.url.rstrip("/") + "/v2"
        self._path = f"{self._base}/models/{quote(config.model)}"
        if config.version is not None:
            self._path += f"/versions/{quote(config.version)}"
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # they would be kept for ever
        self._session.headers["Accept-Encoding"] = "identity"  # Triton would spend its time on gzip
        self._reader = Reader(config)
        self._model: _Model | None = None

    @property
    def name(self) -> str:
        """Kind and place."""
        return f"v2 {urlsplit(self._config.url).netloc} {self._config.model}"

    def detect(self, result: Result) -> Result:
        """See :meth:`sharpline.line.parts.Detector.detect`."""
        deadline = time.monotonic() + self._config.timeout
        try:
            if self._model is None:
                self._model = self._ask_model(deadline)
            return self._infer(self._model, result, deadline)
        except (DetectorError, ModelError) as error:
            self._model = None
            raise DetectorError(f"{self.name}: {error}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            self._model = None
            late = isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError))
            why = f"no answer within {self._config.timeout:g} s" if late else "no connection; is the server running?"
            raise DetectorError(f"{self.name}: {why}") from None

    def close(self) -> None:
        """Lets the connection go."""
        self._session.close()

    def _infer(self, model: _Model, result: Result, deadline: float) -> Result:
        pixels, fit = fitted(result.sr, model.wanted, self._config.colour)
        tensor: Array | bytes
        if model.datatype == "BYTES":
            tensor, shape = _jpeg(pixels), model.shape
        else:
            tensor = tensor_of(pixels, model.wanted)
            shape = list(tensor.shape)
        body, headers = v2_wire.request(model.input, model.datatype, tensor, shape, binary=model.binary)
        content, found = self._call("POST", f"{self._path}/infer", deadline, body, headers)
        return self._reader(v2_wire.answer(content, found), result, fit, pixels.shape[1::-1])

    def _ask_model(self, deadline: float) -> _Model:
        inputs = self._json(self._path, deadline).get("inputs")
        entries = [entry for entry in inputs if isinstance(entry, dict)] if isinstance(inputs, list) else []
        named = [entry for entry in entries if self._config.input in (None, entry.get("name"))]
        if len(named) != 1:
            raise DetectorError(f"its inputs are {[e.get('name') for e in entries]}: name one of them under 'input'")
        name, shape, datatype = (named[0].get(key) for key in ("name", "shape", "datatype"))
        if not isinstance(name, str) or not isinstance(shape, list):
            raise DetectorError("its metadata are not of the protocol v2")
        if datatype == "BYTES":
            free = Input("NHWC", 4, 3, None, None, np.dtype(np.uint8))
            return _Model(name, "BYTES", free, [1] * len(shape) or [1], True)
        if datatype not in v2_wire.DTYPES:
            raise DetectorError(f"its input {name} takes {datatype}, which no picture is")
        wanted = input_of(shape, np.dtype(v2_wire.DTYPES[datatype]), f"input {name}")
        if self._config.encoding == "jpeg":  # the server decodes: OpenVINO Model Server shows what comes after
            return _Model(name, "BYTES", wanted, [1], True)
        return _Model(name, datatype, wanted, [], self._binary(deadline))

    def _binary(self, deadline: float) -> bool:
        if self._config.binary is not None:
            return self._config.binary
        offered = self._json(self._base, deadline).get("extensions")
        return isinstance(offered, list) and "binary_tensor_data" in offered

    def _json(self, url: str, deadline: float) -> dict[str, Any]:
        body, _ = self._call("GET", url, deadline)
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise DetectorError(f"{urlsplit(url).path} is no metadata of the protocol v2")
        return content

    def _call(
        self, method: str, url: str, deadline: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[bytes, Any]:
        left = max(0.001, deadline - time.monotonic())
        with self._session.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=(min(_CONNECT, left), left),
            stream=True,
            allow_redirects=False,
        ) as reply:
            content = bytearray()
            while block := reply.raw.read1(_BLOCK, decode_content=True):  # what is there: a drip must not outlast us
                content += block
                if len(content) > _LARGEST:
                    raise DetectorError(f"its answer is larger than {_LARGEST:,} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout
            if reply.status_code != 200:
                raise DetectorError(f"the server says {reply.status_code}: {_said(bytes(content))}")
            return bytes(content), reply.headers


def _said(content: bytes) -> str:
    """What a server's error is about, in one line."""
    try:
        text = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = content[:400].decode("utf-8", "replace")
    return " ".join(text.split())[:200] or "nothing"


def _jpeg(pixels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
