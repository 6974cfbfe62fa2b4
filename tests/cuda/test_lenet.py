"""LeNet-5's whole step as one kernel, against the same steps layer by layer on the CPU."""

import numpy as np
import pytest

from minicnn import models, training
from minicnn.kernels.ladder.gpu import lenet
from minicnn.training import SoftmaxCrossEntropy

from .common import to_device


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_three_steps(seed, persistent, emulate):
    run = emulate(seed=seed)
    model = models.create("lenet5", seed=0)
    optimizer, loss = (
        training.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2),
        SoftmaxCrossEntropy(),
    )
    parameters = [to_device(p.value.copy()) for p in model.parameters()]
    velocities = [to_device(np.zeros_like(p.value)) for p in model.parameters()]
    generator, totals, expected = np.random.default_rng(0), to_device(np.zeros(2)), np.zeros(2)
    for _ in range(3):
        x, labels = (
            generator.standard_normal((3, 32, 32, 1), dtype=np.float32),
            generator.integers(0, 10, 3),
        )
        lenet.train_step(
            parameters,
            velocities,
            to_device(x),
            to_device(labels),
            totals,
            0.05,
            0.9,
            1e-2,
            persistent,
        )
        logits = model(x)
        value, gradient = loss(logits, labels)
        expected += float(value) * 3, (logits.argmax(1) == labels).sum()
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()
    np.testing.assert_allclose(totals, expected, rtol=1e-5)
    for ours, (name, theirs) in zip(parameters, model.named_parameters(), strict=True):
        np.testing.assert_allclose(ours, theirs.value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert run.launches == (["step"] if persistent else lenet.PARTS) * 3


def test_nine_kernels_are_captured(emulate):
    """A graph, replayed on other images, gives the bits of the same steps without a graph."""
    run = emulate()
    generator = np.random.default_rng(0)
    batches = [
        (generator.standard_normal((2, 32, 32, 1), dtype=np.float32), generator.integers(0, 10, 2))
        for _ in range(3)
    ]

    def trained(captured):
        arrays = [[to_device(a.copy()) for a in parts] for parts in start()]
        x, labels, totals = (
            to_device(batches[0][0].copy()),
            to_device(batches[0][1].copy()),
            to_device(np.zeros(2)),
        )

        def step():
            lenet.train_step(*arrays, x, labels, totals, 0.05, persistent=False)

        graph = run.capture(step) if captured else None
        for images, numbers in batches:
            run.overwrite(x, images)
            run.overwrite(labels, numbers)
            graph.launch() if captured else step()
        return arrays[0]

    for ours, theirs in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def start():
    """Parameters and velocities."""
    values = [p.value for p in models.create("lenet5", seed=0).parameters()]
    return values, [np.zeros_like(v) for v in values]


def test_other_networks_are_refused(emulate):
    run = emulate()
    arrays = [to_device(np.zeros(shape, np.float32)) for shape in lenet.SHAPES]
    x, labels, totals = (
        to_device(a)
        for a in (np.zeros((3, 32, 32, 1), np.float32), np.zeros(3, np.int64), np.zeros(2))
    )
    with pytest.raises(ValueError, match="train_step is for lenet5"):
        lenet.train_step(arrays[::-1], arrays, x, labels, totals, 0.1)
    with pytest.raises(ValueError, match=r"images are float32 \(3, 28, 28, 1\)"):
        lenet.train_step(
            arrays, arrays, to_device(np.zeros((3, 28, 28, 1), np.float32)), labels, totals, 0.1
        )
    with pytest.raises(ValueError, match="9 images; 8 blocks run at the same time"):
        lenet.train_step(
            arrays,
            arrays,
            to_device(np.zeros((9, 32, 32, 1), np.float32)),
            to_device(np.zeros(9, np.int64)),
            totals,
            0.1,
        )
    run.shared_memory_of_processor = 100 << 10  # of a consumer card
    with pytest.raises(ValueError, match="9 images; 4 blocks run at the same time"):
        lenet.train_step(
            arrays,
            arrays,
            to_device(np.zeros((9, 32, 32, 1), np.float32)),
            to_device(np.zeros(9, np.int64)),
            totals,
            0.1,
        )
