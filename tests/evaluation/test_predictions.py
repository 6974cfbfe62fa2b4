"""Errors, the confusion matrix and the CSV of predictions."""

import csv

import numpy as np
import pytest

from minicnn.evaluation import Predictions

PROBABILITIES = np.array(
    [
        [0.50, 0.20, 0.10, 0.10, 0.06, 0.04, 0.00],
        [0.01, 0.02, 0.03, 0.04, 0.10, 0.20, 0.60],
        [0.30, 0.25, 0.20, 0.15, 0.05, 0.03, 0.02],
        [0.30, 0.25, 0.20, 0.15, 0.05, 0.03, 0.02],
    ],
    np.float32,
)
CLASSES = ("a", "b", "c", "d", "e", "f", "crane, bird")
FOUND = Predictions(
    PROBABILITIES, np.array([0, 5, 4, 6]), CLASSES, ("1.jpg", "2.jpg", "x/3.jpg", "Ö 4.jpg")
)


def test_errors():
    assert (FOUND.top1_error, FOUND.top5_error) == (0.75, 0.25)
    result = FOUND.evaluation
    assert (result.accuracy, result.top5) == (0.25, 0.75)
    assert result.loss == pytest.approx(-np.log([0.5, 0.2, 0.05, 0.02]).mean(), rel=1e-6)
    assert result.confusion.sum() == 4 and result.confusion[5, 6] == result.confusion[6, 0] == 1
    few = Predictions(PROBABILITIES[:, :3], np.array([0, 1, 2, 0]), CLASSES[:3], ("",) * 4)
    assert few.top5_error is None and few.evaluation.top5 is None


def test_predictions_that_are_nan_are_wrong():
    nothing = Predictions(np.full_like(PROBABILITIES, np.nan), FOUND.labels, CLASSES, FOUND.images)
    assert (nothing.top1_error, nothing.top5_error) == (1, 1)


def test_certain_and_wrong_costs_a_finite_loss():
    wrong = Predictions(np.eye(2, dtype=np.float32), np.array([1, 0]), ("a", "b"), ("1", "2"))
    assert 20 < wrong.evaluation.loss < 40


def test_csv(tmp_path):
    FOUND.to_csv(tmp_path / "found.csv")
    with open(tmp_path / "found.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    first, second, _, last = rows
    assert list(first)[:5] == ["image", "label", "prediction", "probability", "prediction_2"]
    assert first["image"] == "1.jpg" and first["prediction"] == "a"
    assert first["probability"] == "0.500000" and first["prediction_5"] == "e"
    assert (second["label"], second["prediction"]) == ("f", "crane, bird")
    assert (last["image"], last["label"]) == ("Ö 4.jpg", "crane, bird")
    with pytest.raises(OSError, match=r"missing/found\.csv"):
        FOUND.to_csv(tmp_path / "missing" / "found.csv")
