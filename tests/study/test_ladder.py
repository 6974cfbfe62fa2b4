"""The ladder's measurements, and the command that prints and draws them."""

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.kernels import ladder
from minicnn.study import ladder as study

RUNGS = ladder.rungs()
AVAILABLE = [rung for rung in RUNGS if not rung.unavailable()]
SMALL = ["--batch=1", "--size=8", "--channels=16", "--filters=16", "--repeats=1"]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(study, "PAUSE", 0)
    monkeypatch.setattr(study, "LEAST", 0)
    monkeypatch.setattr(study, "peak_flops", lambda: 2e11)


def run(*arguments):
    return CliRunner().invoke(app, ["ladder", "conv", *arguments])


@pytest.mark.parametrize("name", study.PASSES)
@pytest.mark.parametrize("mutate", [lambda a: 1.01 * a, lambda a: a * np.float32(np.nan)])
def test_a_wrong_rung_is_not_measured(monkeypatch, name, mutate):
    right = getattr(RUNGS[3], name)

    def wrong(*arguments):
        result = right(*arguments)
        return (mutate(result[0]), result[1]) if name == "grad_weight" else mutate(result)

    monkeypatch.setattr(ladder, "rungs", lambda: [RUNGS[3]._replace(**{name: wrong})])
    with pytest.raises(AssertionError, match=f"the rung 'im2col' is wrong in {name}"):
        study.climb(study.Problem(1, 6, 4, 4), repeats=1)


def test_readings():
    found = study.climb(study.Problem(1, 6, 16, 16), ("forward",), repeats=1)
    readings = found.readings["forward"]
    assert [r.name for r in readings] == [rung.name for rung in AVAILABLE]
    assert list(found.left_out) == [rung.name for rung in RUNGS if rung not in AVAILABLE]
    for r in readings:
        assert r.speed == pytest.approx(2 * 6**2 * 9 * 16**2 / r.seconds / 1e9)
        assert r.share_of_peak == pytest.approx(r.speed / 200)
        assert r.speedup == pytest.approx(readings[0].seconds / r.seconds)
        assert 0 < r.error < (1e-2 if r.name == "matrix units" else 1e-5)
    assert readings[-1].idea == f"{RUNGS[-1].idea}: direct"


def test_rungs_that_do_not_compute_the_kernel_are_left_out():
    found = study.climb(study.Problem(1, 6, 4, 4, kernel=5), ("grad_input",), repeats=1)
    names = "Winograd F(2x2, 3x3)", "Winograd F(4x4, 3x3)"
    reason = "left out: it computes only 3x3 kernels"
    assert found.left_out.items() >= dict.fromkeys(names, reason).items()
    assert len(found.readings["grad_input"]) == len(AVAILABLE) - 2


def test_a_rung_that_is_not_available(monkeypatch, tmp_path):
    rung = RUNGS[3]._replace(name="units", unavailable=lambda: "this processor has none")
    monkeypatch.setattr(ladder, "rungs", lambda: [RUNGS[1], rung])
    picture = tmp_path / "ladder.svg"
    result = run(*SMALL, f"--out={picture}")
    assert result.exit_code == 0, result.output
    assert result.output.count("not available: this processor has none") == 3
    assert picture.read_text().count("not available: this processor has none") == 3
    readings = study.climb(study.Problem(1, 6, 4, 4), ("forward",), repeats=1).readings
    assert [r.name for r in readings["forward"]] == ["loops in cache order"]


def test_each_rung_has_an_error_of_its_own(monkeypatch):
    wrong = RUNGS[3]._replace(grad_input=lambda *a: RUNGS[3].grad_input(*a) * np.float32(1.001))
    monkeypatch.setattr(ladder, "rungs", lambda: [wrong._replace(error=2e-3)])
    assert study.climb(study.Problem(1, 6, 4, 4), ("grad_input",), repeats=1).readings
    monkeypatch.setattr(ladder, "rungs", lambda: [wrong])
    with pytest.raises(AssertionError, match="expected 1e-04"):
        study.climb(study.Problem(1, 6, 4, 4), ("grad_input",), repeats=1)


def test_impossible_sizes():
    message = "2x2 convolution of 1 image of 28x28, 128 to 128 channels: .* an odd kernel"
    with pytest.raises(ValueError, match=message):
        study.climb(study.Problem(batch=1, kernel=2))


def test_the_command(tmp_path):
    picture = tmp_path / "ladder.png"
    result = run(*SMALL, f"--out={picture}")
    assert result.exit_code == 0, result.output
    for rung in RUNGS:
        assert result.output.count(f" {rung.name} ") == 3
    assert "GFLOP/s" in result.output
    assert "is 200 GFLOP/s" in result.output
    assert picture.stat().st_size > 10_000


def test_the_command_says_what_it_leaves_out(tmp_path):
    result = run(*SMALL, "--kernel=5", f"--out={tmp_path / 'ladder.svg'}")
    assert result.exit_code == 0, result.output
    assert result.output.count("left out: it computes only 3x3 kernels") == 2 * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kernel=4"], "an odd kernel"),
        (["--out=missing/ladder.png"], "there is no folder missing"),
        (["--out=ladder.xyz"], "expected a name that ends in one of"),
    ],
)
def test_errors_come_before_the_measurements(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ladder, "rungs", list)
    result = run(*SMALL, *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
