"""Ablations beside the published ones."""

from dataclasses import replace

import pytest

from minicnn.study.ablation.expected import compare_with_published

from .test_ablation import lrn

SETTINGS = {
    "lr": 0.1,
    "epochs": 3,
    "data": "x, 64 images, hash 1",
    "test data": "x, 32 images, hash 2",
}
BAND = {"test_error": {"low": [0.7, 0.6, 0.0], "high": [0.9, 0.8, 0.15]}}


def with_settings(found, **changed):
    settings = dict.fromkeys(found.trials, SETTINGS | changed)
    return replace(found, configurations=settings, band={"lrn-0.01": BAND, "none-0.01": {}})


KNOWN = with_settings(lrn((0.1, 0.11), (0.2, 0.21)))


def test_inside_and_outside():
    found = with_settings(lrn((0.1, 0.12), (0.2, 0.21)), data="y, 64 images, hash 1")
    assert compare_with_published(found, [KNOWN]) == ["2 of 2 runs are inside the published bands"]
    found = with_settings(lrn((0.1, 0.16), (0.2, 0.21)))
    assert compare_with_published(found, [KNOWN]) == [
        "1 of 2 runs are inside the published bands",
        "lrn-0.01, seed 1: outside the published band: in epoch 3 its test error is 16.00%; "
        "expected 0.00% to 15.00%",
    ]


@pytest.mark.parametrize("changed", [{"lr": 0.2}, {"data": "x, 64 images, hash 9"}, {"epochs": 4}])
def test_other_settings_are_not_compared(changed):
    found = with_settings(lrn((0.9, 0.9), (0.9, 0.9)), **changed)
    assert compare_with_published(found, [KNOWN]) == []
    assert compare_with_published(KNOWN, []) == []
