"""Published results: how they are made of runs, and that those in the repository hold."""

import json
import re
from importlib import resources

import numpy as np
import pytest

from minicnn import data, models, training
from minicnn.errors import CheckpointError
from minicnn.study.bands import band
from minicnn.study.expected import differing
from minicnn.study.results import add_runs, from_json, has_same_images, make_result, results
from minicnn.study.runs import Run, read_run, simplified
from minicnn.training import Callback

from .trained import SETTINGS, as_torchs, made_up

RUNS = [
    made_up("runs/a", (0.4, 0.2, 0.1, 0.08), seed=0),
    made_up("runs/b", (0.5, 0.3, 0.12, 0.1), seed=1),
]


def test_a_result_of_runs(tmp_path):
    torch_runs = [read_run(as_torchs(tmp_path / "t", (0.5, 0.2, 0.1, 0.07)))]
    paper = {"error": 0.06, "source": "a paper, table 1"}
    found = make_result("tiny", RUNS, {"commit": "abc"}, torch_runs=torch_runs, paper=paper)
    assert (found.network, found.recipe, found.epochs) == ("tiny", "default", 4)
    assert found.command == "minicnn train tiny --data digits --recipe default --seed 0"
    assert found.configuration == {k: v for k, v in SETTINGS.items() if k != "seed"}
    assert [(run["seed"], run["error"], run["seconds"]) for run in found.runs] == [
        (0, 0.08, 8.0),
        (1, 0.1, 8.0),
    ]
    assert found.runs[1]["curves"] == {
        "train_loss": [1.0, 0.6, 0.24, 0.2],
        "test_error": [0.5, 0.3, 0.12, 0.1],
    }
    assert (found.error, found.torch_error) == pytest.approx((0.09, 0.07))
    assert found.torch["environment"] == {"machine": "a machine", "torch": "2.13.0"}
    for measure, images in (("train_loss", None), ("test_error", 400)):
        low, _, high = band([run["curves"][measure] for run in found.runs], images)
        assert found.band[measure]["low"] == pytest.approx(low, rel=1e-5)
        assert found.band[measure]["high"] == pytest.approx(high, rel=1e-5)
    low, high = found.final_band
    assert 0 < low < 0.08 < 0.1 < high < 0.2


def test_further_seeds_are_added(tmp_path):
    at_once = make_result("tiny", RUNS, {"commit": "abc"})
    first = make_result("tiny", RUNS[:1], {"commit": "abc"})
    assert add_runs(first, RUNS[1:], {"commit": "abc"}) == at_once
    torch_runs = [read_run(as_torchs(tmp_path / "t", (0.5, 0.2, 0.1, 0.07)))]
    found = add_runs(first, RUNS[1:], {"commit": "def"}, torch_runs)
    assert [run.get("environment") for run in found.runs] == [None, {"commit": "def"}]
    assert found.band == at_once.band
    assert found.torch == make_result("tiny", RUNS, {}, torch_runs=torch_runs).torch
    assert from_json(found.to_json()) == found
    with pytest.raises(CheckpointError, match=r"runs/b: the runs have the seeds \[0, 1, 1\]"):
        add_runs(at_once, RUNS[1:], {})
    with pytest.raises(CheckpointError, match=r"/t: the runs have the seeds \[0, 0\]"):
        add_runs(found, [], {}, torch_runs)
    other = made_up("runs/c", (0.5, 0.3, 0.12, 0.1), seed=2, lr=0.5)
    with pytest.raises(CheckpointError, match="runs/c: other settings than the published ones: lr"):
        add_runs(first, [other], {})


def test_it_is_a_readable_file():
    found = make_result("tiny", RUNS, {"commit": "abc"})
    text = found.to_json()
    assert from_json(text) == found
    assert '"test_error": [0.5, 0.3, 0.12, 0.1]' in text  # a curve per line
    assert max(map(len, text.splitlines())) < 200
    with pytest.raises(ValueError, match=r"format 9; this version of minicnn reads 1"):
        from_json(text.replace('"format": 1', '"format": 9'))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (made_up("runs/x", (0.4, 0.2), seed=1), "runs/x: 2 of 4 epochs are done"),
        (made_up("runs/x", seed=1, lr=0.2), "runs/x: other settings than runs/a: lr"),
        (made_up("runs/x", seed=0), r"the seeds \[0, 0\]; expected others"),
        (made_up("runs/x", seed=1, **{"test data": None}), "runs/x: .* a test set, is needed"),
    ],
)
def test_runs_that_do_not_belong_together(run, expected):
    with pytest.raises(CheckpointError, match=expected):
        make_result("tiny", [RUNS[0], run], {})


def test_torchs_runs_must_have_the_same_images_and_length(tmp_path):
    others = {
        "images": ({"data": "digits, 1438 images, hash ba9876543210"}, "data is digits, 1438 im"),
        "short": ({"errors": (0.4, 0.2)}, "2 epochs; expected 4"),
        "ours": ({"engine": "minicnn"}, "expected a run of benchmarks/recipes.py"),
    }
    for name, (settings, expected) in others.items():
        run = read_run(as_torchs(tmp_path / name, **settings))
        with pytest.raises(CheckpointError, match=f"{name}: {expected}"):
            make_result("tiny", RUNS, {}, torch_runs=[run])
    renamed = {"data": SETTINGS["data"].replace("digits", "my digits")}
    make_result("tiny", RUNS, {}, torch_runs=[read_run(as_torchs(tmp_path / "n", **renamed))])


def test_images_are_the_same_by_number_and_hash():
    line = "a, b, 10 images, hash 0123"
    assert has_same_images(line, "c, 10 images, hash 0123")
    assert not has_same_images(line, "a, b, 11 images, hash 0123")
    assert not has_same_images(line, "a, b, 10 images, hash 0124")


PUBLISHED = results()


class Stop(Callback):
    """End a run before its first step, and keep its settings."""

    def on_train_start(self, trainer):
        self.configuration = simplified(trainer.configuration | {"epochs": trainer.epochs})
        trainer.stop = True


@pytest.mark.parametrize("result", PUBLISHED, ids=[r.name for r in PUBLISHED])
def test_a_run_of_today_has_the_settings_of_the_published_one(tmp_path, result):
    """Otherwise no run is compared with it: the recipe changed, or how a setting is written."""
    model = models.create(result.network, **result.configuration["options"])
    is_digits = result.configuration["data"].startswith("digits,")
    images = np.zeros((16, *model.input_shape), np.uint8), np.arange(16) % 10
    stop = Stop()
    settings = {"recipe": result.recipe, "callbacks": [stop], "out": tmp_path, "progress": False}
    training.fit(model, *(data.digits() if is_digits else (images, images)), **settings)
    run = Run(tmp_path, "now", training.History(), stop.configuration)
    assert differing(run, result).keys() <= (set() if is_digits else {"data", "test data"})


def test_the_published_results_are_the_files_in_the_folder():
    files = {f.name for f in resources.files("minicnn.results").iterdir()}
    assert {f"{r.name}.json" for r in PUBLISHED} == {f for f in files if f.endswith(".json")}


@pytest.mark.parametrize("result", PUBLISHED, ids=[r.name for r in PUBLISHED])
def test_a_published_result_is_complete_and_its_band_is_the_formulas(result):
    """Whoever changes the formula publishes again: benchmarks/publish.py."""
    text = json.dumps(vars(result))
    assert not re.search(r"/(home|root|tmp|work|Users)/", text), "a path of one machine"
    assert result.environment["commit"]
    assert not result.environment["commit"].endswith("dirty")
    assert {"machine", "python", "numpy", "numba", "minicnn"} <= result.environment.keys()
    assert result.runs
    images = int(re.search(r"(\d+) images", result.configuration["test data"])[1])
    for measure, n in (("train_loss", None), ("test_error", images)):
        curves = [run["curves"][measure] for run in result.runs]
        assert {len(curve) for curve in curves} == {result.epochs}
        low, _, high = band(curves, n)
        assert result.band[measure]["low"] == pytest.approx(low, rel=2e-5, abs=1e-9)
        assert result.band[measure]["high"] == pytest.approx(high, rel=2e-5, abs=1e-9)
    for run in result.runs:
        assert run["error"] == run["curves"]["test_error"][-1]
