"""Steps that leave the network as it was."""

import numpy as np
import pytest

from minicnn import models, rng
from minicnn.layers import Conv2d, Sequential
from minicnn.study.cost.step import borrowed, input_shape_of, make_step


@pytest.mark.parametrize("fused", [True, False])
def test_a_step_leaves_no_trace(fused):
    network = models.create("resnet20_cifar", seed=0).eval()
    network.freeze("conv1")
    first, *others = network.parameters()
    others[0].grad = np.ones_like(others[0].value)
    before = {name: array.copy() for name, array in network.state_dict().items()}
    position = rng.state()
    with borrowed(network):
        step = make_step(network, 2, (32, 32, 3), fused)
        step.prepare(train=True)()
        assert any((a != before[n]).any() for n, a in network.state_dict().items()), "buffers"
        step.prepare(train=False)()
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert rng.state() == position
    assert not network.training and first.frozen
    assert first._grad is None and (others[0].grad == 1).all()
    assert all(layer._saved is None for _, layer in network.named_layers())
    copies = step.optimizer.parameters
    assert any((c.value != p.value).any() for c, p in zip(copies, step.parameters, strict=True))


def test_a_step_needs_a_shape_and_images():
    net = Sequential(Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match="no input shape of its own"):
        input_shape_of(net, None)
    with pytest.raises(ValueError, match=r"input_shape=\(8, 8\): expected \(H, W, C\)"):
        input_shape_of(net, (8, 8))
    with pytest.raises(ValueError, match="batch=0: expected an integer >= 1"):
        make_step(net, 0, (8, 8, 3))
