"""What a detector's numbers mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpline.errors import UsageError
from sharpline.line.detectors.answers import Found, Reader, corners, suppressed, yolo
from sharpline.line.detectors.config import Outputs, Reading
from sharpline.line.detectors.feeding import Fit, fitted, input_of
from sharpline.line.parts import DetectorError

WHOLE = Fit(1.0, 0, 0)
SIZE = (256, 192)
BOX = [40.0, 20.0, 80.0, 60.0]


def read(make_result, answer, **settings):
    fit = settings.pop("fit", WHOLE)
    reader = Reader(Reading(**settings))
    return reader({name: np.asarray(array) for name, array in answer.items()}, make_result(), fit, SIZE).detections


def test_boxes_scores_and_labels(make_result) -> None:
    answer = {"boxes": [BOX, [0, 0, 8, 8]], "scores": [0.5, 0.9], "labels": [1, 0]}
    best, second = read(make_result, answer, labels=["dent", "scratch"])
    assert (best.label, best.score, best.box, best.camera_box) == ("dent", 0.9, (0, 0, 8, 8), (0, 0, 2, 2))
    assert (second.label, second.box, second.camera_box) == ("scratch", (40, 20, 80, 60), (10, 5, 20, 15))


@pytest.mark.parametrize(
    ("form", "box"),
    [("xyxy", BOX), ("yxyx", [20, 40, 60, 80]), ("xywh", [40, 20, 40, 40]), ("cxcywh", [60, 40, 40, 40])],
)
def test_every_format_of_boxes_in_pixels_and_in_shares(make_result, form, box) -> None:
    (found,) = read(make_result, {"boxes": [box], "scores": [0.9], "labels": [0]}, outputs=Outputs(format=form))
    assert found.box == tuple(BOX)
    order = np.array([192, 256] * 2 if form == "yxyx" else [256, 192] * 2)
    shares = {"boxes": [np.array(box) / order], "scores": [0.9], "labels": [0]}
    (found,) = read(make_result, shares, outputs=Outputs(format=form, normalised=True))
    assert found.box == pytest.approx(tuple(BOX))


def test_leading_ones_texts_and_other_names(make_result) -> None:
    answer = {"b": [[BOX]], "s": [[0.9]], "l": [[np.bytes_(b"Kratzer \xc3\xbc")]], "num": [1]}
    outputs = Outputs(boxes="b", scores="s", labels="l")
    (found,) = read(make_result, {**answer, "l": np.array([[b"gr\xc3\xbcn \xff"]], object)}, outputs=outputs)
    assert found.label == "grün �"


def test_scores_by_class_are_read_and_doubles_removed(make_result) -> None:
    answer = {"boxes": [BOX, [41, 21, 81, 61], BOX], "scores": [[0.1, 0.8], [0.2, 0.7], [0.6, 0.0]]}
    found = read(make_result, answer)
    assert [(d.label, d.score) for d in found] == [("class 1", 0.8), ("class 0", 0.6)]


def test_a_model_that_removed_its_doubles_is_not_second_guessed(make_result) -> None:
    answer = {"boxes": [BOX, BOX], "scores": [0.8, 0.7], "labels": [1, 1]}
    assert len(read(make_result, answer)) == 2


def test_below_the_threshold_and_outside_the_picture_is_nothing(make_result) -> None:
    answer = {"boxes": [BOX, [300, 10, 320, 20], [-20, -20, 10, 10]], "scores": [0.2, 0.9, 0.9], "labels": [0, 0, 0]}
    (found,) = read(make_result, answer)
    assert found.box == (0, 0, 10, 10)


def test_no_boxes_are_no_detections(make_result) -> None:
    empty = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, int)}
    assert read(make_result, empty) == ()
    assert read(make_result, {"out": np.zeros((1, 6, 0))}, labels=["a", "b"]) == ()


def test_borders_are_taken_off_and_the_enlargement_undone(make_result) -> None:
    result = make_result()
    wanted = input_of([1, 3, 128, 128], np.dtype(np.float32), "model")
    pixels, fit = fitted(result.sr, wanted, "rgb")
    white = np.argwhere(pixels[:, :, 0] > 200)
    (top, left), (bottom, right) = white.min(0), white.max(0) + 1
    reader = Reader(Reading())
    answer = {"boxes": np.array([[left, top, right, bottom]]), "scores": np.ones(1), "labels": np.zeros(1, int)}
    (found,) = reader(answer, result, fit, (128, 128)).detections
    assert found.box == pytest.approx(BOX, abs=2)
    assert found.camera_box == pytest.approx(np.array(BOX) / 4, abs=0.5)


def table(*rows) -> np.ndarray:
    """YOLO's [1, 4 + C, N] of rows (centre x, centre y, width, height, scores ...)."""
    return np.array(rows, np.float32).T[None]


def test_yolo_with_its_sides_either_way(make_result) -> None:
    one = table((60, 40, 40, 40, 0.1, 0.9), (61, 41, 40, 40, 0.1, 0.8), (60, 40, 40, 40, 0.7, 0.1), (9, 9, 4, 4, 0, 0))
    for output in (one, one.transpose(0, 2, 1)) if one.shape[2] != 6 else (one,):
        if output.shape[2] == 6:
            continue  # [1, N, 6] is the form below
        found = read(make_result, {"output0": output}, labels=["dent", "scratch"])
        assert [(d.label, round(d.score, 3), d.box) for d in found] == [
            ("scratch", 0.9, (40, 20, 80, 60)), ("dent", 0.7, (40, 20, 80, 60)),
        ]  # fmt: skip
    many = np.zeros((1, 50, 7), np.float32)
    many[0, 3] = 60, 40, 40, 40, 0.0, 0.9, 0.0
    assert [d.label for d in read(make_result, {"x": many})] == ["class 1"]


def test_yolo_that_ends_with_its_own_suppression(make_result) -> None:
    output = np.zeros((1, 300, 6), np.float32)
    output[0, :2] = [[*BOX, 0.9, 1], [*BOX, 0.8, 1]]
    found = read(make_result, {"output0": output}, labels=["dent", "scratch"])
    assert [(d.label, d.box) for d in found] == [("scratch", tuple(BOX))] * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"boxes": [[1, 2, 3]], "scores": [1.0]}, "not \\[N, 4\\]"),
        ({"boxes": [BOX], "scores": [0.5, 0.5]}, "scores of the shape"),
        ({"boxes": [BOX], "scores": [0.5], "labels": [1, 2]}, "1 boxes and 2 labels"),
        ({"boxes": [[np.nan, 0, 1, 1]], "scores": [0.5], "labels": [0]}, "NaN"),
        ({"boxes": [BOX], "scores": [7.5], "labels": [0]}, "not between 0 and 1"),
        ({"a": [BOX], "b": [0.5]}, "say under 'outputs'"),
        ({"out": np.zeros((1, 2, 3, 4))}, "neither YOLO's"),
        ({"out": np.zeros((1, 3, 3))}, "4 \\+ classes"),
    ],
)
def test_answers_that_make_no_sense_are_errors_not_boxes(make_result, answer, words) -> None:
    with pytest.raises(DetectorError, match=words):
        read(make_result, answer)


def test_yolos_classes_have_to_be_as_many_as_the_labels() -> None:
    with pytest.raises(DetectorError, match="for 3 labels"):
        yolo(np.zeros((1, 9, 100)), 3)


def test_labels_come_from_a_file(make_result, tmp_path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("dent\nscratch\n\n")
    answer = {"boxes": [BOX], "scores": [0.9], "labels": [1]}
    assert read(make_result, answer, labels=file)[0].label == "scratch"
    assert read(make_result, {**answer, "labels": [2]}, labels=file)[0].label == "class 2"
    file.write_text("\n")
    with pytest.raises(UsageError, match="holds no labels"):
        read(make_result, answer, labels=file)


boxes = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 30), st.integers(1, 30), st.integers(0, 1)),
    max_size=20,
)


@given(boxes, st.floats(0.1, 0.9))
def test_suppression_keeps_the_best_and_removes_only_what_overlaps_one_of_them(drawn, iou) -> None:
    rows = np.array(drawn, float).reshape(-1, 5)
    sides = corners(rows[:, :4], Outputs(format="xywh"), (1, 1))
    found = Found(sides, np.linspace(1, 0.5, len(rows)), rows[:, 4], False)
    kept = suppressed(found, iou)

    def overlap(a: int, b: int) -> float:
        wide = min(sides[a, 2], sides[b, 2]) - max(sides[a, 0], sides[b, 0])
        high = min(sides[a, 3], sides[b, 3]) - max(sides[a, 1], sides[b, 1])
        common = max(wide, 0) * max(high, 0)
        return common / (rows[a, 2] * rows[a, 3] + rows[b, 2] * rows[b, 3] - common)

    for k in range(len(rows)):
        rivals = [j for j in kept if j < k and rows[j, 4] == rows[k, 4] and overlap(j, k) > iou]
        assert (k in kept) == (not rivals)
