"""Runs beside published results: inside, outside and where first, or without a result."""

from dataclasses import replace

import pytest

from minicnn import data
from minicnn.errors import CheckpointError
from minicnn.study.expected import check, find_expected
from minicnn.study.results import make_result, measured
from minicnn.study.runs import Run, read_run
from minicnn.training.history import History

from .trained import SETTINGS, as_torchs, made_up, row

ERRORS = (0.4, 0.2, 0.1, 0.08)
SEEDS = [
    made_up(f"runs/{seed}", [factor * error for error in ERRORS], seed=seed)
    for seed, factor in enumerate((0.9, 1.0, 1.1))
]
KNOWN = [make_result("tiny-default", SEEDS, {})]


def test_a_run_inside():
    verdict = check(made_up("runs/mine", ERRORS, seed=7), KNOWN)
    assert verdict.is_inside
    assert str(verdict) == "runs/mine: inside the band of tiny-default (3 seeds) in all 4 epochs"
    assert verdict.to_dict() == {
        "run": "runs/mine",
        "result": "tiny-default",
        "inside": True,
        "epochs": 4,
        "planned_epochs": 4,
        "left": None,
    }


def test_a_run_in_progress():
    verdict = check(made_up("runs/mine", ERRORS[:2], seed=7), KNOWN)
    expected = "inside the band of tiny-default (3 seeds) so far, after 2 of 4 epochs"
    assert str(verdict) == f"runs/mine: {expected}"


def test_the_last_epoch_may_be_a_part():
    runs = [made_up(f"runs/{seed}", ERRORS, seed=seed, epochs=3.4) for seed in (0, 1)]
    known = [make_result("tiny-default", runs, {})]
    assert known[0].epochs == 4
    done = check(made_up("runs/mine", ERRORS, seed=7, epochs=3.4), known)
    assert str(done).endswith("in all 4 epochs")
    going = check(made_up("runs/mine", ERRORS[:3], seed=7, epochs=3.4), known)
    assert str(going).endswith("so far, after 3 of 4 epochs")
    with pytest.raises(CheckpointError, match="runs/1: 3 of 4 epochs are done"):
        make_result("x", [runs[0], made_up("runs/1", ERRORS[:3], seed=1, epochs=3.4)], {})


def outside(epoch, **values):
    """A run whose row of that epoch has other values."""
    run = made_up("runs/mine", ERRORS, seed=7)
    run.history.rows[epoch - 1] |= values
    return check(run, KNOWN)


@pytest.mark.parametrize(
    ("epoch", "measure", "values"),
    [
        (1, "train_loss", {"train_loss": 8.0}),
        (2, "train_loss", {"train_loss": 0.01}),  # too good is outside, too
        (3, "test_error", {"test_accuracy": 0.6}),
        (4, "test_error", {"test_accuracy": 0.6}),
        (4, "test_error", {"test_accuracy": 1.0}),
    ],
)
def test_a_run_outside(epoch, measure, values):
    verdict = outside(epoch, **values)
    left = verdict.left
    assert not verdict.is_inside
    assert (left.epoch, left.measure) == (epoch, measure)
    assert left.value == measured(verdict.run.history.rows[epoch - 1], measure)
    ends = KNOWN[0].band[measure]
    assert (left.low, left.high) == (ends["low"][epoch - 1], ends["high"][epoch - 1])
    assert verdict.to_dict()["left"] == vars(left)


def test_the_first_epoch_outside_is_named():
    run = made_up("runs/mine", (0.4, 0.9, 0.9, 0.08), seed=7)
    low, high = (KNOWN[0].band["train_loss"][end][1] for end in ("low", "high"))
    assert str(check(run, KNOWN)) == (
        "runs/mine: outside the band of tiny-default (3 seeds): in epoch 2 its training loss is "
        f"1.8; expected {low:.4g} to {high:.4g}"
    )
    assert "in epoch 4 its test error is 60.00%; expected 4." in str(outside(4, test_accuracy=0.4))


def test_a_loss_that_is_not_a_number_is_outside():
    assert not outside(2, train_loss=float("nan")).is_inside


def test_epochs_that_are_missing_or_too_many():
    """A row is compared with the band of its epoch, wherever it is in the table."""
    run = made_up("runs/mine", ERRORS)
    run.history.rows[:] = [*run.history.rows[2:], row(99, 9.0, 0.9)]
    assert check(run, KNOWN).is_inside


def test_the_names_of_data_sets_do_not_count():
    settings = {"data": SETTINGS["data"].replace("digits", "folder")}
    assert find_expected(made_up(**settings), KNOWN) is KNOWN[0]


def test_how_files_became_the_same_pixels_does_not_count():
    preprocess = data.Preprocess(size=(32, 32), channels=3, mean=(0.4, 0.5, 0.6), std=0.2)
    of_files = preprocess.decoding_like(data.Decode((36, 40), fit="inside", orient=False))
    runs = [made_up(str(i), seed=i, preprocess=repr(preprocess)) for i in (0, 1)]
    known = [make_result("tiny-default", runs, {})]
    assert find_expected(made_up(preprocess=repr(of_files)), known) is known[0]
    with pytest.raises(CheckpointError, match="differs in 1: preprocess is"):
        find_expected(made_up(preprocess=repr(replace(preprocess, std=0.3))), known)


def test_settings_that_are_off_do_not_count():
    run = made_up(ema=None, nesterov=False, clip=0, augment="None")
    assert find_expected(run, KNOWN) is KNOWN[0]


def test_options_that_are_not_given_have_their_defaults():
    runs = [
        made_up(str(seed), ERRORS, seed=seed, model="lenet5", options={"num_classes": 10})
        for seed in (0, 1)
    ]
    known = [make_result("lenet5-default", runs, {})]
    assert find_expected(made_up(model="lenet5", options={}), known) is known[0]
    with pytest.raises(CheckpointError, match="options is in_channels=3, there in_channels=1"):
        find_expected(made_up(model="lenet5", options={"in_channels": 3}), known)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"lr": 0.2},
            "no published result has its settings; from the nearest, tiny-default, it differs in "
            "1: lr is 0.2, there 0.1",
        ),
        (
            {"ema": 0.9, "epochs": 9},
            ".* differs in 2: epochs is 9, there 4; ema is 0.9, there None",
        ),
        (
            {"test data": "digits, 400 images, hash ba9876543210"},
            "its images are not those of tiny-default, and only the same pixels give the same "
            r"numbers .*: test data is digits, 400 images, hash ba.*, there digits, 400 images",
        ),
        ({"model": "huge"}, "there is no published result of huge; `minicnn results` lists those"),
        ({"model": None}, "there is no published result of this network"),
    ],
)
def test_no_result_with_these_settings(settings, expected):
    with pytest.raises(CheckpointError, match=f"^runs/mine: {expected}"):
        check(made_up(**settings), KNOWN)


def test_a_run_of_another_engine(tmp_path):
    run = read_run(as_torchs(tmp_path / "torch", model="lenet5"))
    with pytest.raises(CheckpointError, match=r"torch: it is a run of torch; expected one of mini"):
        check(run, KNOWN)


def test_only_curves():
    run = Run("a.csv", "a", History([row(1, 1.0, 0.5)]))
    with pytest.raises(CheckpointError, match=r"^a\.csv: only its curves are known"):
        check(run, KNOWN)
