"""Training the variants: resumed, failed and interrupted runs, on a part of the digits."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from minicnn.errors import CheckpointError, DataError, TrainingError
from minicnn.layers import Conv2d, Flatten, Linear, MaxPool2d, Network
from minicnn.study.ablation import Claim, Statement, Variant, ablate, read_ablation
from minicnn.study.ablation.claim import TEST_ERROR
from minicnn.study.ablation.networks import PLAIN
from minicnn.study.ablation.training import load_data

RECIPE = replace(PLAIN, batch_size=32, lr=0.05)


def network(num_classes, stride=4, width=4):
    return Network(
        conv=Conv2d(3, width, 5, stride=stride, activation="relu"),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(width * 9, num_classes),
        input_shape=(32, 32, 3),
    )


@pytest.fixture
def claim(monkeypatch):
    """A claim of two small networks, which `claims.claim` finds."""
    found = Claim(
        name="tiny",
        title="Eight filters are better than two",
        source="no paper",
        setting="small",
        variants={
            "eight": Variant(partial(network, width=8), RECIPE),
            "two": Variant(partial(network, width=2), RECIPE),
        },
        statements=[Statement("eight", "two", TEST_ERROR, "of course")],
        limit=128,
        epochs=3,
        minutes=1,
    )
    monkeypatch.setattr("minicnn.study.ablation.papers.ALL", (found,))
    return found


@pytest.fixture(scope="module")
def sets():
    return load_data("digits", 128)


def run(claim, sets, folder, **options):
    quiet = {"progress": False, "report": lambda text: None, "seeds": 2}
    return ablate(claim, sets, folder, **quiet | options)


def test_ablate(claim, sets, tmp_path):
    lines = []
    found = run(claim, sets, tmp_path, report=lines.append)
    assert lines[::2] == [
        "run 1 of 4: eight, seed 0",
        "run 2 of 4: two, seed 0",
        "run 3 of 4: eight, seed 1",
        "run 4 of 4: two, seed 1",
    ]
    assert lines[1].startswith("  training error ")
    assert found.settings == {
        "data": "digits",
        "training images": 128,
        "test images": 128,
        "epochs": 3,
    }
    assert found.seeds == [0, 1]
    assert {len(c) for t in found.trials["two"] for c in t.curves.values()} == {3}
    assert found.trials["two"][0].macs == 7 * 7 * 75 * 2 + 2 * 9 * 10
    for name in claim.variants:
        ends = found.band[name]["test_error"]
        final = found.values(name, TEST_ERROR)
        assert ends["low"][-1] < min(final) <= max(final) < ends["high"][-1]
        assert found.configurations[name]["batch_size"] == 32
        assert "seed" not in found.configurations[name]
    assert read_ablation(tmp_path) == found
    again = run(claim, sets, tmp_path, resume=True)  # nothing is left to train
    assert again == found
    with pytest.raises(TrainingError, match="already holds a run"):
        run(claim, sets, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run(claim, load_data("digits", 64), tmp_path, resume=True)


def test_an_interrupted_ablation_goes_on(claim, sets, tmp_path):
    whole = run(claim, sets, tmp_path / "whole")

    def interrupt(text):
        if text.startswith("run 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(claim, sets, tmp_path / "parts", report=interrupt)
    parts = run(claim, sets, tmp_path / "parts", resume=True)
    for name in claim.variants:
        for a, b in zip(whole.trials[name], parts.trials[name], strict=True):
            assert a.curves == b.curves


def test_a_run_that_diverges_counts_as_guessing(claim, sets, tmp_path):
    variants = claim.variants | {"two": Variant(network, replace(RECIPE, lr=1e30))}
    with np.errstate(all="ignore"):
        found = run(replace(claim, variants=variants), sets, tmp_path)
    assert found.values("two", TEST_ERROR) == [0.9, 0.9]
    assert (
        "is not finite" in found.trials["two"][0].failure
        or "the loss is" in found.trials["two"][0].failure
    )
    assert found.band["two"] == {}
    assert found.band["eight"]
    assert read_ablation(tmp_path) == found


def test_data_without_single_classes():
    with pytest.raises(DataError, match="neither a data set"):
        load_data("no-such-data", 10)
