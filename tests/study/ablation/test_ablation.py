"""The result of an ablation: its file, and the sentence of each outcome."""

import json

import pytest

from minicnn.errors import CheckpointError
from minicnn.study.ablation import Ablation, Trial, read_ablation


def trial(seed, errors, train=(0.9, 0.5, 0.2), **options):
    curves = {"train_error": list(train), "test_error": list(errors)}
    curves |= {"train_loss": list(train), "test_loss": list(errors)}
    return Trial(seed, curves, seconds=1.0, macs=1000, classes=10, **options)


def ablation(name, **variants):
    size = {"data": "digits", "training images": 64, "test images": 32, "epochs": 3}
    return Ablation(name, size, variants, environment={"commit": "abc"})


def lrn(with_it, without):
    """An ablation of LRN with these final test errors per seed."""
    sides = [
        [trial(seed, (0.8, 0.7, error)) for seed, error in enumerate(side)]
        for side in (with_it, without)
    ]
    return ablation("lrn", **{"lrn-0.01": sides[0], "none-0.01": sides[1]})


def sentence(found):
    ((statement, verdict),) = found.verdicts()
    return found.sentence(statement, verdict)


@pytest.mark.parametrize(
    ("with_it", "without", "expected"),
    [
        (
            (0.10, 0.11, 0.12),
            (0.20, 0.21, 0.22),
            "holds: lrn-0.01 is 10.00 points below none-0.01 (95 % interval 7.73 to 12.27)",
        ),
        (
            (0.20, 0.21, 0.22),
            (0.10, 0.11, 0.12),
            "does not hold: lrn-0.01 is 10.00 points above none-0.01 (95 % interval 7.73 to 12.27)",
        ),
        (
            (0.10, 0.20),
            (0.11, 0.21),
            "undecided: the seeds differ too much to tell; lrn-0.01 is "
            "1.00 points below none-0.01 (95 % interval -29.42 to 31.42)",
        ),
        ((0.1,), (0.1,), "undecided: one seed has no spread"),
        ((0.1, 0.1), (0.1, 0.1), "undecided: the two are equal"),
        (
            (0.1,),
            (0.2,),
            "undecided: one seed has no spread; lrn-0.01 is 10.00 points below none-0.01",
        ),
    ],
)
def test_sentences(with_it, without, expected):
    assert sentence(lrn(with_it, without)) == expected


def test_sentences_about_times():
    fast = [trial(seed, (0.5, 0.4, 0.3), train=(0.25, 0.1, 0.1)) for seed in (0, 1)]
    slow = [trial(seed, (0.5, 0.4, 0.3), train=(0.9, 0.5, 0.3)) for seed in (0, 1)]
    sides = {"relu-0.01": slow, "relu-0.02": fast, "tanh-0.01": slow, "tanh-0.02": slow}
    assert sentence(ablation("relu", **sides)) == (
        "holds: relu-0.02 is at least 2 below tanh-0.01, tanh-0.01 takes at least 3 times as long"
    )
    assert sentence(ablation("relu", **sides | {"relu-0.02": slow})) == (
        "undecided: runs on both sides did not reach it"
    )


def test_the_file(tmp_path):
    found = lrn((0.1, 0.12), (0.2, 0.23))
    failed = ablation("lrn", **{**found.trials, "none-0.01": [trial(0, (), failure="nan")]})
    for each in (found, failed):
        path = tmp_path / "ablation.json"
        path.write_text(each.to_json(), encoding="utf-8")
        assert read_ablation(tmp_path) == read_ablation(path) == each
    told = json.loads(found.to_json())["verdicts"]
    assert told[0]["statement"] == "test error of the best lrn-*: below that of the best none-*"
    assert told[0]["found"] == sentence(found)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (None, "it does not exist; `minicnn ablate` writes it"),
        ("{", "it is not the result of an ablation"),
        (
            '{"format": 9}',
            "the result of an ablation: its format is 9; this version of minicnn reads 1",
        ),
        ('{"format": 1, "name": "lrn"}', "it is not the result of an ablation"),
    ],
)
def test_files_that_are_no_result(tmp_path, contents, expected):
    path = tmp_path / "ablation.json"
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(CheckpointError, match=expected):
        read_ablation(path)
