"""Every rung of the ladder against the reference, at awkward sizes; the command that climbs it."""

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.kernels import ladder, reference
from minicnn.study import ladder as study

RUNGS = ladder.rungs()


@pytest.mark.parametrize("rung", RUNGS, ids=lambda r: r.name.replace(" ", "-"))
@pytest.mark.parametrize(("size", "pad"), [(3, 1), (3, 0), (1, 0), (5, 2)])
def test_rung(rung, size, pad):
    generator = np.random.default_rng(size)
    x = generator.standard_normal((2, 9, 8, 16), dtype=np.float32)
    w, b = (
        generator.standard_normal((size, size, 16, 32), dtype=np.float32),
        generator.standard_normal(32, dtype=np.float32),
    )
    y = reference.conv2d(x, w, b, padding=pad, activation="relu")
    dy = generator.standard_normal(y.shape, dtype=np.float32)
    before = [a.copy() for a in (x, w, b, dy)]
    np.testing.assert_allclose(rung.forward(x, w, b, pad), y, atol=1e-4 * y.max())
    dx = reference.conv2d_grad_input(dy, w, x.shape, padding=pad)
    np.testing.assert_allclose(rung.grad_input(dy, w, pad), dx, atol=1e-4 * abs(dx).max())
    for ours, theirs in zip(
        rung.grad_weight(dy, x, size, pad),
        reference.conv2d_grad_weight(dy, x, w.shape, padding=pad),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * abs(theirs).max())
    for array, copy in zip((x, w, b, dy), before, strict=True):
        np.testing.assert_array_equal(array, copy, "a rung changed its input")


def test_rungs_are_found_and_say_what_they_are():
    assert len(RUNGS) >= 10
    assert all(rung.name and rung.idea for rung in RUNGS)
    assert len({rung.name for rung in RUNGS}) == len(RUNGS)


def test_a_wrong_rung_is_not_timed(monkeypatch):
    wrong = RUNGS[3]._replace(forward=lambda x, w, b, pad: 1.01 * RUNGS[3].forward(x, w, b, pad))
    monkeypatch.setattr(ladder, "rungs", lambda: [wrong])
    with pytest.raises(AssertionError, match="the rung 'im2col' is wrong in forward"):
        study.climb(study.Problem(1, 6, 4, 4), passes=("forward",), repeats=1)


def test_the_command(tmp_path):
    picture = tmp_path / "ladder.png"
    arguments = [
        "ladder",
        "conv",
        "--batch=1",
        "--size=8",
        "--channels=16",
        "--filters=16",
        "--repeats=1",
        f"--out={picture}",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for rung in RUNGS:
        assert result.output.count(rung.name) >= 3
    assert picture.stat().st_size > 10_000


def test_impossible_sizes():
    with pytest.raises(ValueError, match="an odd kernel"):
        study.climb(study.Problem(kernel=2))
