"""Reads a detector's outputs: boxes with scores and classes, or YOLO's one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sharpline.errors import UsageError
from sharpline.line.detectors.config import Outputs, Reading
from sharpline.line.detectors.feeding import Fit
from sharpline.line.frame import Array, Detection, Result
from sharpline.line.parts import DetectorError
from sharpline.settings import text_of

_CANDIDATES = 3000  # boxes that are compared with each other at most
_MOST = 300  # detections of a frame


@dataclass(frozen=True)
class Found:
    """Boxes in pixels of the detector's input.

    Attributes:
        boxes: [N, 4], left, top, right, bottom.
        scores: [N].
        classes: [N], indices or texts.
        final: Whether the model has removed doubles itself.
    """

    boxes: Array
    scores: Array
    classes: Array
    final: bool

    def only(self, chosen: Array) -> Found:
        """Some of them, by indices or by a mask."""
        return replace(self, boxes=self.boxes[chosen], scores=self.scores[chosen], classes=self.classes[chosen])


class Reader:
    """Makes detections of a result from what a detector answered.

    Args:
        config: How its answers are read.
        names: Names of the classes where the configuration has none.

    Raises:
        UsageError: The file of labels cannot be read.
    """

    def __init__(self, config: Reading, names: list[str] | None = None) -> None:
        self._config = config
        self._names = names
        if isinstance(config.labels, list):
            self._names = config.labels
        elif config.labels is not None:
            self._names = [line.strip() for line in text_of(config.labels).splitlines() if line.strip()]
            if not self._names:
                raise UsageError(f"{config.labels}: holds no labels; write one on each line")

    def __call__(self, answer: Mapping[str, Array], result: Result, fit: Fit, size: tuple[int, int]) -> Result:
        """The result with its detections, best first.

        Args:
            answer: The outputs by name.
            result: What was asked about.
            fit: How its picture lay in the input.
            size: Width and height of the input.

        Raises:
            DetectorError: The outputs are not what they should be.
        """
        found = self._found(answer, size)
        if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
            raise DetectorError("the detector's answer holds NaN or infinity")
        if found.scores.size and not (found.scores.min() >= 0 and found.scores.max() <= 1.0001):
            raise DetectorError(
                "the detector's scores are not between 0 and 1; put a sigmoid or softmax into the model"
            )
        found = found.only(found.scores >= self._config.threshold)
        found = found.only(np.argsort(-found.scores, kind="stable")[:_CANDIDATES])
        if not found.final:
            found = found.only(suppressed(found, self._config.iou))
        height, width = result.sr.shape[:2]
        boxes = fit.back(found.boxes, width, height)
        found = replace(found, boxes=boxes).only((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
        return replace(result, detections=self._detections(found, result))

    def _detections(self, found: Found, result: Result) -> tuple[Detection, ...]:
        detections = []
        for box, score, kind in zip(found.boxes[:_MOST], found.scores, found.classes, strict=False):
            left, top, right, bottom = (float(side) for side in box)
            camera = (left / result.scale, top / result.scale, right / result.scale, bottom / result.scale)
            detections.append(Detection(self._label(kind), min(1.0, float(score)), (left, top, right, bottom), camera))
        return tuple(detections)

    def _label(self, kind: Any) -> str:
        if isinstance(kind, bytes):
            return kind.decode("utf-8", "replace")
        if isinstance(kind, str):
            return kind.encode("utf-8", "replace").decode()
        number = int(kind)
        if self._names is not None and 0 <= number < len(self._names):
            return str(self._names[number])
        return f"class {number}"

    def _found(self, answer: Mapping[str, Array], size: tuple[int, int]) -> Found:
        outputs = self._config.outputs
        if outputs.boxes in answer and outputs.scores in answer:
            return _separate(answer, outputs, size)
        if len(answer) == 1:
            return yolo(next(iter(answer.values())), None if self._names is None else len(self._names))
        raise DetectorError(
            f"its outputs are {', '.join(sorted(answer))}: say under 'outputs' which are boxes, scores and labels"
        )


def _separate(answer: Mapping[str, Array], outputs: Outputs, size: tuple[int, int]) -> Found:
    boxes, scores = _alone(answer[outputs.boxes], 2), answer[outputs.scores]
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DetectorError(f"the detector's {outputs.boxes} have the shape {boxes.shape}, not [N, 4]")
    by_class = scores.size != len(boxes) or (outputs.labels not in answer and _alone(scores, 1).ndim == 2)
    if by_class:
        scores = _alone(scores, 2)
        if scores.ndim != 2 or len(scores) != len(boxes) or not scores.shape[1]:
            raise DetectorError(f"the detector gives {len(boxes)} boxes, and scores of the shape {scores.shape}")
        classes: Array = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
        scores = scores[np.arange(len(scores)), classes]
    else:
        scores = scores.reshape(-1)
        classes = answer[outputs.labels].reshape(-1) if outputs.labels in answer else np.zeros(len(boxes), np.int64)
        if len(classes) != len(boxes):
            raise DetectorError(f"the detector gives {len(boxes)} boxes and {len(classes)} {outputs.labels}")
    return Found(corners(boxes.astype(np.float64), outputs, size), scores.astype(np.float64), classes, not by_class)


def _alone(array: Array, rank: int) -> Array:
    """Without leading sides of 1 that are too many."""
    while array.ndim > rank and array.shape[0] == 1:
        array = array[0]
    return array


def corners(boxes: Array, outputs: Outputs, size: tuple[int, int]) -> Array:
    """Boxes of any format as left, top, right, bottom in pixels.

    Example:
        >>> corners(np.array([[0.5, 0.5, 0.5, 1.0]]), Outputs(format="cxcywh", normalised=True), (8, 4)).tolist()
        [[2.0, 0.0, 6.0, 4.0]]
    """
    if outputs.format == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    elif outputs.format == "xywh":
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    elif outputs.format == "cxcywh":
        boxes = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    return boxes * np.array(size * 2) if outputs.normalised else boxes


def yolo(output: Array, classes: int | None) -> Found:
    """The one output of YOLOv8 and its relatives: [1, 4 + C, N] (centre, size, a score a class), or [1, N, 6] of those
    that end with their own suppression (left, top, right, bottom, score, class).

    Args:
        output: The tensor, boxes in pixels of the input.
        classes: How many there are, if that is known: it tells the two sides apart.

    Raises:
        DetectorError: It has another shape.
    """  # noqa: D205
    table = _alone(output, 2)
    if table.ndim != 2:
        raise DetectorError(f"the detector's output has the shape {output.shape}: neither YOLO's nor boxes and scores")
    rows, columns = table.shape
    wanted = None if classes is None else 4 + classes
    if columns == 6 and rows != wanted:
        return Found(table[:, :4].astype(np.float64), table[:, 4].astype(np.float64), table[:, 5].astype(int), True)
    if columns == wanted or (wanted is None and columns < rows):
        table = table.T
    if len(table) < 5 or (wanted is not None and len(table) != wanted):
        known = "" if classes is None else f" for {classes} labels"
        raise DetectorError(f"the detector's output has the shape {output.shape}, not [1, 4 + classes, N]{known}")
    boxes = corners(table[:4].T.astype(np.float64), Outputs(format="cxcywh"), (1, 1))
    return Found(boxes, table[4:].max(0).astype(np.float64), table[4:].argmax(0), False)


def suppressed(found: Found, iou: float) -> Array:
    """Indices of the boxes that stay when, class by class, those that overlap a better one are left out.

    Args:
        found: Best first.
        iou: The most that two may overlap, intersection over union.
    """
    boxes, left = found.boxes, np.arange(len(found.boxes))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = []
    while left.size:
        best, rest = left[0], left[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        common = np.prod(np.maximum(sides, 0), axis=1)
        overlap = common / np.maximum(areas[best] + areas[rest] - common, 1e-9)
        left = rest[(overlap <= iou) | (found.classes[rest] != found.classes[best])]
    return np.array(kept, np.int64)
