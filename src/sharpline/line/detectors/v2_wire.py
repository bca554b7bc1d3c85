"""Tensors on the way to and from an Open Inference Protocol v2 server, as JSON or as bytes.

https://github.com/kserve/open-inference-protocol (inference_rest) and its binary tensor data extension: the JSON object
comes first, its length in the header ``Inference-Header-Content-Length``; the tensors follow it, little-endian.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sharpline.line.frame import Array
from sharpline.line.parts import DetectorError

LENGTH = "Inference-Header-Content-Length"
DTYPES = {
    "BOOL": "?",
    **{
        f"{sign}INT{bits}": f"<{letter}{bits // 8}"
        for sign, letter in (("", "i"), ("U", "u"))
        for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}


def request(
    name: str, datatype: str, tensor: Array | bytes, shape: list[int], *, binary: bool
) -> tuple[bytes, dict[str, str]]:
    r"""The body and headers of an inference.

    Args:
        name: Of the input.
        datatype: In the protocol's words.
        tensor: The array, or for BYTES one element.
        shape: Of the tensor.
        binary: Whether tensors travel as bytes, both ways.

    Example:
        >>> body, headers = request("image", "UINT8", np.arange(2, dtype=np.uint8), [2], binary=True)
        >>> headers[LENGTH], body[-2:]
        ('137', b'\x00\x01')
    """
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    content: dict[str, Any] = {"inputs": [entry]}
    if not binary:
        assert not isinstance(tensor, bytes)  # a file as text would take a convention that no server shares
        entry["data"] = tensor.ravel().tolist()
        return json.dumps(content).encode(), {"content-type": "application/json"}
    data = len(tensor).to_bytes(4, "little") + tensor if isinstance(tensor, bytes) else tensor.tobytes()
    entry["parameters"] = {"binary_data_size": len(data)}
    content["parameters"] = {"binary_data_output": True}
    head = json.dumps(content, separators=(",", ":")).encode()
    return head + data, {"content-type": "application/octet-stream", LENGTH: str(len(head))}


def answer(body: bytes, headers: Mapping[str, str]) -> dict[str, Array]:
    """The outputs of an answer by name.

    Raises:
        DetectorError: It is not what the protocol says.
    """
    try:
        length = int(headers.get(LENGTH, len(body)))
        if not 0 <= length <= len(body):
            raise ValueError("its header is longer than itself")
        content, rest, outputs = json.loads(body[:length]), memoryview(body)[length:], dict[str, Array]()
        for output in content["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                outputs[output["name"]] = _from_list(output)
                continue
            if not 0 <= size <= len(rest):
                raise ValueError("it ends too early")
            outputs[output["name"]], rest = _from_bytes(output, rest[:size]), rest[size:]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise DetectorError(f"the answer is not of the protocol v2 ({type(error).__name__}: {error})") from None
    return outputs


def _from_list(output: dict[str, Any]) -> Array:
    kind = object if output["datatype"] == "BYTES" else np.dtype(DTYPES[output["datatype"]])
    return np.array(output["data"], kind).reshape(output["shape"])


def _from_bytes(output: dict[str, Any], data: memoryview) -> Array:
    if output["datatype"] != "BYTES":
        return np.frombuffer(data, DTYPES[output["datatype"]]).reshape(output["shape"])
    elements, at = list[bytes](), 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise ValueError("an element ends too early")
        elements.append(bytes(data[at + 4 : end]))
        at = end
    if len(elements) != math.prod(output["shape"]):
        raise ValueError(f"{len(elements)} elements for the shape {output['shape']}")
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(output["shape"])
