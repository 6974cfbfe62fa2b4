"""Claims, statements and measures as they are written and printed."""

import math

import pytest

from minicnn.study.ablation import Claim, Measure, Statement, Trial, claim, claims
from minicnn.study.ablation.claim import MACS, TEST_ERROR, TEST_LOSS, TRAIN_ERROR, epochs_to

CURVES = {
    "train_error": [0.8, 0.4, 0.1],
    "test_error": [0.7, 0.5, 0.3],
    "train_loss": [2.0, 1.0, 0.5],
    "test_loss": [2.1, 1.5, 1.2],
}
TRIAL = Trial(0, CURVES, seconds=3.0, macs=1_234_567, classes=10)


def test_measures_of_a_trial():
    found = [m.of(TRIAL) for m in (TEST_ERROR, TRAIN_ERROR, TEST_LOSS, MACS)]
    assert found == [0.3, 0.1, 1.2, 1_234_567]


@pytest.mark.parametrize(
    ("level", "expected"), [(0.9, 1.0), (0.4, 2.0), (0.25, 2.5), (0.1, 3.0), (0.05, math.inf)]
)
def test_epochs_until_an_error_is_reached(level, expected):
    assert epochs_to(level).of(TRIAL) == pytest.approx(expected)


def test_a_run_that_failed_guesses():
    failed = Trial(0, {name: v[:1] for name, v in CURVES.items()}, 1.0, 5, 4, "the loss is nan")
    assert TEST_ERROR.of(failed) == 0.75
    assert TEST_LOSS.of(failed) == pytest.approx(math.log(4))
    assert epochs_to(0.25).of(failed) == math.inf


def test_texts():
    assert TEST_ERROR.text(0.1234) == "12.34 %"
    assert TEST_ERROR.difference(0.0123) == "1.23 points"
    assert MACS.text(1234567.0) == "1,234,567"
    assert (epochs_to(0.25).text(3.456), epochs_to(0.25).text(math.inf)) == ("3.46", "not reached")
    assert epochs_to(0.25).name == "epochs to 25 % training error"
    plain = Statement("a", "b", TEST_ERROR, "the paper")
    assert str(plain) == "test error of a: below that of b"
    best = Statement("a-*", "b", TEST_ERROR, "the paper")
    assert str(best) == "test error of the best a-*: below that of b"
    tolerant = Statement("a", "b", TEST_ERROR, "the paper", margin=0.01)
    assert str(tolerant) == "test error of a: at most 1.00 points above that of b"


def test_a_statement_about_a_variant_that_does_not_exist():
    measure = Measure("x", lambda trial: 0.0)
    with pytest.raises(ValueError, match=r"mine: b is not one of \['a'\]"):
        Claim("mine", "", "", "", {"a": None}, [Statement("a", "b", measure, "")], 1, 1, 1)


@pytest.mark.parametrize("name", claims())
def test_every_measure_is_in_the_table_once(name):
    names = [measure.name for measure in claim(name).measures]
    assert len(names) == len(set(names))
