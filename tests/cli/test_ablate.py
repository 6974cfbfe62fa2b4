"""`minicnn ablate` as a command."""

import json

import pytest

from minicnn.study.ablation import claims, read_ablation


def test_the_list(run):
    said = run("ablate")
    for name, claim in claims().items():
        assert name in said
        assert claim.title in said
        assert f"{claim.minutes} min" in said
    found = json.loads(run("ablate", "--json"))
    assert [c["name"] for c in found] == list(claims())
    assert found[0]["source"] == "Krizhevsky et al. 2012, section 3.1 and figure 1"


@pytest.mark.filterwarnings("ignore:the loss")
def test_a_claim(run, tmp_path):
    small = ("--data", "digits", "--limit", 32, "--epochs", 1)
    said = run("ablate", "lrn", *small, "--seeds", 2)
    assert "run 12 of 12: none-0.01, seed 1" in said
    assert "Krizhevsky et al. 2012, section 3.3" in said
    assert "the paper: four layers on CIFAR-10: 11 % instead of 13 %" in said
    assert "here: " in said
    folder = tmp_path / "runs" / "ablate-lrn"
    assert (folder / "ablation.png").stat().st_size > 10_000
    assert read_ablation(folder).seeds == [0, 1]
    assert "already holds a run" in run("ablate", "lrn", *small, code=2)
    assert "picture: " in run("ablate", "lrn", *small, "--seeds", 2, "--resume")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("relus",), "there is no ablation 'relus'; did you mean relu"),
        (("relu", "--json"), "--json lists the claims: expected no NAME"),
        (("relu", "--data", "nowhere"), "'nowhere' is neither a data set"),
    ],
)
def test_wrong_arguments(run, arguments, expected):
    assert expected in run("ablate", *arguments, code=2)
