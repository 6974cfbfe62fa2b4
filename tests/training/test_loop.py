"""The loop is on one screen."""

import inspect

from minicnn.training import loop


def test_an_epoch_is_on_one_screen():
    source = inspect.getsource(loop.forward_backward) + inspect.getsource(loop.train_epoch)
    assert len(source.splitlines()) <= 40
    steps = (
        "= network(",
        "run.loss(",
        "zero_grad()",
        "network.backward(",
        "metrics.add(",
        "optimizer.step()",
        "run.after_step()",
    )
    positions = [source.index(step) for step in steps]
    assert positions == sorted(positions)
