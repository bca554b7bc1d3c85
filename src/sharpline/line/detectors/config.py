"""What a configuration says about the fault detector: typed and strict. The keys are documented in docs/sinks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sharpline.line.units import Seconds, plain_address


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Outputs(_Strict):
    """What the detector's outputs are called and mean. A detector with one output is read as YOLO's and needs none.

    Attributes:
        boxes: Name of the boxes, [N, 4].
        scores: Name of the scores: [N], or [N, classes].
        labels: Name of the classes, [N]: indices or texts. Not needed where scores are by class.
        format: What the four numbers of a box are: ``xyxy`` left, top, right, bottom; ``yxyx`` top, left, bottom,
            right; ``xywh`` left, top, width, height; ``cxcywh`` centre, width, height.
        normalised: Boxes are shares of the input's sides, not its pixels.
    """

    boxes: str = "boxes"
    scores: str = "scores"
    labels: str = "labels"
    format: Literal["xyxy", "yxyx", "xywh", "cxcywh"] = "xyxy"
    normalised: bool = False


class Reading(_Strict):
    """How a detector is fed and its answers are read.

    Attributes:
        labels: Names of the classes, or a file with one on each line.
        threshold: Detections below this score are left out.
        iou: Of two boxes of one class that overlap more (intersection over union), the weaker is left out; only where
            the model has not done so itself.
        colour: Order of the channels that the model expects.
        outputs: Names and meaning of the outputs.
    """

    labels: list[str] | Path | None = None
    threshold: float = Field(default=0.25, ge=0, le=1)
    iou: float = Field(default=0.45, gt=0, le=1)
    colour: Literal["rgb", "bgr"] = "rgb"
    outputs: Outputs = Outputs()


class V2Config(Reading):
    """A detector on a server that speaks the Open Inference Protocol v2 over HTTP.

    Attributes:
        url: Address of the server.
        model: Name of the model there.
        version: Version of the model; the server's choice without.
        input: Name of the input; not needed where there is only one.
        encoding: ``uint8``: pixels (float where the model's metadata say so); ``jpeg``: a JPEG file, quality 95.
        binary: Whether tensors travel as bytes; by default where the server says that it takes them. JPEG always does.
        timeout: How long an answer may take.
    """

    url: Annotated[str, AfterValidator(lambda url: plain_address(url, ("http", "https")))]
    model: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+$")
    input: str | None = None
    encoding: Literal["uint8", "jpeg"] = "uint8"
    binary: bool | None = None
    timeout: Seconds = 2.0


class OnnxConfig(Reading):
    """A detector in this process.

    Attributes:
        file: The ONNX file.
        threads: Processor threads that it may use.
    """

    file: Path
    threads: int = Field(default=1, ge=1)


class DetectorConfig(_Strict):
    """The fault detector: exactly one of the kinds.

    Example:
        >>> config = DetectorConfig.model_validate({"v2": {"url": "http://127.0.0.1:8000", "model": "faults"}})
        >>> config.v2.timeout
        2.0
    """

    v2: V2Config | None = None
    onnx: OnnxConfig | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.v2 is None) == (self.onnx is None):
            raise ValueError("a detector is either v2 or onnx")
        return self
