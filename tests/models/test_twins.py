"""Every network against its twin in torch: logits, loss, and the gradient of every parameter and of the input.

In float64 at a reduced size of the input (float32 rounding hides nothing there), in train mode with fixed dropout masks, batch statistics
and auxiliary heads, and in eval mode. float32 at full size is `test_full_size.py`.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minicnn import models
from minicnn.layers import Conv2d, Dropout
from minicnn.layers.init import skip_init
from minicnn.training.metrics import loss_of
from minicnn.weights.torch_state import array_to_torch, flattened_maps

from . import twins

CLASSES = 7


def make_pair(name, dtype, options, make):
    """Our network and its twin with the same weights, all of them away from their initial zeros and ones."""
    classes = {} if name.startswith("lenet") else {"num_classes": CLASSES}
    ours = models.create(name, seed=1, **classes, **options).astype(dtype)
    masks = []
    theirs = make(masks).to(torch.float64 if dtype == np.float64 else torch.float32)
    generator = np.random.default_rng(0)
    maps = flattened_maps(ours)
    parameters, twins_ = list(ours.named_parameters()), list(theirs.parameters())
    assert len(parameters) == len(twins_)
    for (layer_name, p), t in zip(parameters, twins_, strict=True):
        if p.value.ndim == 1:
            p.value += 0.1 * generator.standard_normal(p.value.shape).astype(dtype)
        value = array_to_torch(p.value, maps.get(layer_name.rpartition(".")[0]))
        assert value.shape == tuple(t.shape), f"{layer_name}: {value.shape}, the twin has {tuple(t.shape)}"
        t.data = torch.tensor(value)
    running = [m for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    ordered = sorted(running, key=lambda m: [id(p) for p in theirs.parameters()].index(id(m.weight)))
    buffers = [a for n, a in ours.named_buffers() if "running" in n]
    for m, mean, var in zip(ordered, buffers[::2], buffers[1::2], strict=True):
        mean += 0.1 * generator.standard_normal(mean.shape)
        var *= generator.uniform(0.5, 1.5, var.shape)
        m.running_mean.data, m.running_var.data = torch.tensor(mean), torch.tensor(var)
    return ours, theirs, masks, maps, ordered, buffers


def their_loss(name, outputs, labels):
    if name == "lenet5_1998":
        rows = torch.arange(len(labels))
        rubbish = torch.full((len(labels), 1), -0.1, dtype=outputs.dtype)
        return (outputs[rows, labels] + torch.logsumexp(torch.cat([rubbish, -outputs], 1), 1)).mean()
    if isinstance(outputs, tuple):
        main, aux1, aux2 = (F.cross_entropy(o, labels) for o in outputs)
        return main + 0.3 * (aux1 + aux2)
    return F.cross_entropy(outputs, labels)


def relative(ours, theirs):
    return abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max() / max(abs(np.asarray(theirs)).max(), 1e-30)


def compare(name, dtype, options, make, batch=2):
    """The largest relative errors in train and in eval mode, `{mode: (forward and loss, gradients)}`."""
    ours, theirs, masks, maps, ordered, buffers = make_pair(name, dtype, options, make)
    generator = np.random.default_rng(3)
    x = generator.standard_normal((batch, *ours.input_shape)).astype(dtype)
    labels = generator.integers(0, CLASSES, batch)
    t = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    errors = {}
    for mode in ("train", "eval"):
        ours.train(mode == "train").zero_grad()
        theirs.train(mode == "train").zero_grad()
        t.grad = None
        outputs = ours(x)
        if mode == "train":
            masks += dropout_masks(ours, maps)
        their_outputs = theirs(t)
        loss, gradient = loss_of(ours)(outputs, labels)
        total = their_loss(name, their_outputs, torch.tensor(labels))
        total.backward()
        dx = ours.backward(gradient)
        assert not masks, "the twin dropped fewer times"

        pairs = zip(outputs, their_outputs, strict=True) if isinstance(outputs, tuple) else [(outputs, their_outputs)]
        forward = max(relative(a, b.detach()) for a, b in pairs)
        forward = max(forward, relative(loss, total.detach()))
        for m, mean, var in zip(ordered, buffers[::2], buffers[1::2], strict=True):
            forward = max(forward, relative(mean, m.running_mean), relative(var, m.running_var))
        # In float32 a unit near the kink of ReLU, or two near-equal values in a max pool, fall to different sides in two engines, and a
        # few elements of the gradient differ wholly: there the L2 norm is what says something, in float64 every single element does.
        norm = (lambda a: float(abs(a).max())) if dtype == np.float64 else (lambda a: float(np.linalg.norm(a)))
        # A gradient that is zero by construction (a bias before batch norm) is noise on both sides: measure against the largest of all.
        largest = max(norm(p.grad.numpy()) for p in theirs.parameters() if p.grad is not None)
        backward = norm(np.moveaxis(dx, -1, 1) - t.grad.numpy()) / norm(t.grad.numpy())
        for (layer_name, p), twin in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            if twin.grad is None:  # an auxiliary head in evaluation
                assert not p.grad.any(), layer_name
                continue
            mine = array_to_torch(p.grad, maps.get(layer_name.rpartition(".")[0]))
            error = norm(mine - twin.grad.numpy()) / max(norm(twin.grad.numpy()), 1e-4 * largest)
            backward = max(backward, error)
        errors[mode] = forward, backward
    return errors


def dropout_masks(network, maps):
    """What our dropout layers kept, in the order of the forward, in torch's layout."""
    order = list(ours_order(network))
    drops = [(name, layer) for name, layer in network.named_layers() if isinstance(layer, Dropout)]
    for name, drop in sorted(drops, key=lambda d: order.index(id(d[1]))):
        keep = drop._saved[1]
        if name == "drop6" and keep.shape[1:] == (9216,):  # torchvision's AlexNet drops between flattening and fc6
            keep = keep.reshape(-1, *maps["fc6"]).transpose(0, 3, 1, 2).reshape(keep.shape)
        yield torch.tensor(np.moveaxis(keep, -1, 1).copy())


def ours_order(network):
    """The layers in the order in which the forward of a network with auxiliary heads meets them."""
    heads = getattr(network, "_heads", {})
    for name, child in network.children():
        if name.startswith("aux") and heads:
            continue
        yield from (id(layer) for _, layer in child.named_layers())
        if name in heads:
            yield from (id(layer) for _, layer in heads[name].named_layers())


# Nets of a thousand layers take minutes; their shallower siblings, which the same functions build, stand for them here, and
# `python -m tests.models.twin_table` compares them too.
SLOW = {"resnet1202_cifar", "preresnet1001_cifar"}


@pytest.mark.parametrize("name", [n for n in models.names() if n not in SLOW])
def test_float64(name):
    for mode, errors in compare(name, np.float64, *twins.pair(name, CLASSES)).items():
        assert max(errors) < 1e-9, (mode, errors)


def test_a_wrong_network_is_noticed():
    """A twin with one epsilon changed does not agree."""
    options, make = twins.pair("resnet20_cifar", CLASSES)

    def changed(masks):
        net = make(masks)
        net[1].eps = 1e-4
        return net

    assert min(max(errors) for errors in compare("resnet20_cifar", np.float64, options, changed).values()) > 1e-7


def test_layers_are_not_shared():
    """No two places of a network hold the same layer object."""
    for name in models.names():
        if name in SLOW:
            continue
        with skip_init():
            network = models.create(name)
        seen = [id(layer) for _, layer in network.named_layers() if isinstance(layer, Conv2d)]
        assert len(seen) == len(set(seen))
