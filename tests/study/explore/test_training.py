"""Training that can be paused, while others read."""

import time

import numpy as np
import pytest

from minicnn import models
from minicnn.study.explore import Gallery, Session
from minicnn.study.explore.training import Training

from .common import session


def wait_for(condition):
    end = time.time() + 20
    while not condition():
        assert time.time() < end, "nothing happened in 20 s"
        time.sleep(0.01)


def test_start_pause_and_go_on():
    own = session()
    before = {name: array.copy() for name, array in own.model.state_dict().items()}
    training = Training(own)
    training.start(lr=0.02, batch=16)
    wait_for(lambda: len(training.points) >= 30)
    training.pause()
    found = training.progress(0)
    assert not found["running"] and found["last"] == len(found["points"])
    losses = [loss for _, loss, _ in found["points"]]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert (own.model.fc.weight.value != before["fc.weight"]).any()
    assert not own.model.training
    np.testing.assert_array_equal(own.array("fc", "value.w"), own.model.fc.weight.value)
    training.start(lr=0.02, batch=16)
    wait_for(lambda: len(training.points) > found["last"])
    training.pause()
    assert training.progress(found["last"])["points"][0][0] == found["last"] + 1
    own.restore()
    assert own.state()["steps"] == 0
    for name, array in own.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_curve_goes_on_when_its_first_points_are_dropped(monkeypatch):
    monkeypatch.setattr("minicnn.study.explore.training.KEPT", 5)
    own = session()
    own.step(0.01)
    training = Training(own)
    training.start(lr=0.02, batch=16)
    wait_for(lambda: training.progress(0)["last"] >= 12)
    training.pause()
    last = training.progress(0)["last"]
    assert own.state()["steps"] == last  # with the step on the image
    assert [step for step, *_ in training.progress(last - 3)["points"]] == [
        *range(last - 2, last + 1)
    ]
    assert len(training.points) == 5


def test_a_loss_that_is_not_finite_is_said():
    training = Training(session())
    with np.errstate(all="ignore"):
        training.start(lr=1e30, batch=16)
        wait_for(lambda: not training.is_running)
    assert "at a learning rate of 1e+30" in training.progress(0)["error"]


def test_without_data():
    model = models.create("lenet5", seed=0)
    training = Training(Session(model, Gallery(model, {})))
    with pytest.raises(ValueError, match="training needs a data set"):
        training.start(lr=0.1, batch=4)
    with pytest.raises(ValueError, match="batch=0"):
        Training(session()).start(lr=0.1, batch=0)
    for speed in (-1.0, 1e-300, float("nan")):
        with pytest.raises(ValueError, match=r"speed=.*: expected at least 0.01 steps per second"):
            Training(session()).start(lr=0.1, batch=1, speed=speed)
    with pytest.raises(ValueError, match="lr=nan"):
        Training(session()).start(lr=float("nan"), batch=1)
