"""Every network against its twin in torch: logits, loss, gradients of parameters and input.

In float64 on a reduced input, where rounding hides nothing: in train mode with fixed dropout masks,
batch statistics and auxiliary heads, and in eval mode. In float32 on the full input, against the
rounding of float32: `distances`.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minicnn import models, no_grad
from minicnn.kernels.cpu import conv
from minicnn.layers import BatchNorm2d, Conv2d, Dropout
from minicnn.layers.init import skip_init
from minicnn.training.metrics import loss_of
from minicnn.weights.torch_state import array_to_torch, flattened_maps

from . import twins

CLASSES = 7


def make_pair(name, dtype, options, make):
    """Our network and its twin with the same weights; none is left at an initial zero or one."""
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
        value = array_to_torch(p.value, maps.get(layer_name))
        assert value.shape == tuple(t.shape), (
            f"{layer_name}: {value.shape}, the twin has {tuple(t.shape)}"
        )
        t.data = torch.tensor(value)
    running = [m for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    ordered = sorted(running, key=lambda m: [id(p) for p in theirs.parameters()].index(id(m.bias)))
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
        return (
            outputs[rows, labels] + torch.logsumexp(torch.cat([rubbish, -outputs], 1), 1)
        ).mean()
    if isinstance(outputs, tuple):
        main, aux1, aux2 = (F.cross_entropy(o, labels) for o in outputs)
        return main + 0.3 * (aux1 + aux2)
    return F.cross_entropy(outputs, labels)


def relative(ours, theirs):
    return abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max() / max(
        abs(np.asarray(theirs)).max(), 1e-30
    )


def compare(name, dtype, options, make, batch=2):
    """The largest relative errors, `{mode: (forward and loss, gradients)}`, in train and eval."""
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

        pairs = (
            zip(outputs, their_outputs, strict=True)
            if isinstance(outputs, tuple)
            else [(outputs, their_outputs)]
        )
        forward = max(relative(a, b.detach()) for a, b in pairs)
        forward = max(forward, relative(loss, total.detach()))
        for m, mean, var in zip(ordered, buffers[::2], buffers[1::2], strict=True):
            forward = max(forward, relative(mean, m.running_mean), relative(var, m.running_var))
        # In float32, a unit near the kink of ReLU or two nearly equal values in a max pooling can
        # fall on different sides in two engines, and a few elements of the gradient then differ
        # completely. So float32 compares L2 norms, and float64 every single element.
        norm = (
            (lambda a: float(abs(a).max()))
            if dtype == np.float64
            else (lambda a: float(np.linalg.norm(a)))
        )
        # A gradient that is zero by construction (a bias before batch norm) is noise on both sides,
        # so its error is measured against the largest gradient.
        largest = max(norm(p.grad.numpy()) for p in theirs.parameters() if p.grad is not None)
        backward = norm(np.moveaxis(dx, -1, 1) - t.grad.numpy()) / norm(t.grad.numpy())
        for (layer_name, p), twin in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            if twin.grad is None:  # an auxiliary head in evaluation, or frozen weights
                assert not p.grad.any(), layer_name
                continue
            mine = array_to_torch(p.grad, maps.get(layer_name))
            error = norm(mine - twin.grad.numpy()) / max(norm(twin.grad.numpy()), 1e-4 * largest)
            backward = max(backward, error)
        errors[mode] = forward, backward
    return errors


def distances(name, options, make, algorithm="auto", batch=2):
    """Relative L2 errors of float32 on the network's own input: `{what: (ours, torch's)}`.

    "forward" and "gradient" (of all parameters and the input together) are from train mode, "eval"
    from the logits in eval mode, with the running statistics of a real batch. The exact result is
    the twin's in float64, with the same weights and masks.
    """
    ours, theirs, masks, maps, _, _ = make_pair(name, np.float32, options, make)
    exact = copy.deepcopy(theirs).double()
    exact_masks = next((m.masks for m in exact.modules() if isinstance(m, twins.FixedDropout)), [])
    for _, layer in ours.named_layers():
        if isinstance(layer, BatchNorm2d):
            layer.momentum = 1.0
    for net in (theirs, exact):
        for m in net.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.momentum = 1.0
    generator = np.random.default_rng(3)
    x = generator.standard_normal((batch, *ours.input_shape), dtype=np.float32)
    labels = generator.integers(0, CLASSES, batch)
    t = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    wide = t.detach().double().requires_grad_()

    with conv.algorithm(algorithm):
        outputs = ours.train()(x)
        drawn = list(dropout_masks(ours, maps))
        masks += drawn
        exact_masks += drawn
        _, gradient = loss_of(ours)(outputs, labels)
        dx = ours.backward(gradient)
        with no_grad():
            evaluated = ours.eval()(x)
    results = []
    for net, images in ((theirs, t), (exact, wide)):
        found = net.train()(images)
        their_loss(name, found, torch.tensor(labels)).backward()
        with torch.no_grad():
            results.append((found, net.eval()(images)))

    def joined(outputs):
        return np.concatenate(
            [
                np.asarray(o.detach() if torch.is_tensor(o) else o, np.float64).ravel()
                for o in outputs
            ]
        )

    def tuple_of(outputs):
        return outputs if isinstance(outputs, tuple) else (outputs,)

    mine = [array_to_torch(p.grad, maps.get(layer)) for layer, p in ours.named_parameters()]
    forwards = [joined(tuple_of(o)) for o in (outputs, results[0][0], results[1][0])]
    evals = [joined([o]) for o in (evaluated, results[0][1], results[1][1])]
    gradients = [joined([*mine, np.moveaxis(dx, -1, 1)])]
    gradients += [
        joined([*(0 * p if p.grad is None else p.grad for p in net.parameters()), images.grad])
        for net, images in ((theirs, t), (exact, wide))
    ]

    def far(triple):
        return tuple(
            float(np.linalg.norm(a - triple[2]) / np.linalg.norm(triple[2])) for a in triple[:2]
        )

    return {"forward": far(forwards), "gradient": far(gradients), "eval": far(evals)}


def dropout_masks(network, maps):
    """The masks of our dropout layers, in the order of forward, in torch's layout."""
    order = list(ours_order(network))
    drops = [(name, layer) for name, layer in network.named_layers() if isinstance(layer, Dropout)]
    for name, drop in sorted(drops, key=lambda d: order.index(id(d[1]))):
        keep = drop._saved[1]
        # torchvision's AlexNet drops between flattening and fc6
        if name == "drop6" and keep.shape[1:] == (9216,):
            keep = keep.reshape(-1, *maps["fc6.weight"]).transpose(0, 3, 1, 2).reshape(keep.shape)
        yield torch.tensor(np.moveaxis(keep, -1, 1).copy())


def ours_order(network):
    """The ids of all layers in the order of forward, with each auxiliary head after its layer."""
    heads = getattr(network, "heads", {})
    for name, child in network.children():
        if name.startswith("aux") and heads:
            continue
        yield from (id(layer) for _, layer in child.named_layers())
        if name in heads:
            yield from (id(layer) for _, layer in heads[name].named_layers())


# The deepest nets take most of the time of all. The same functions build the shallower ones tested
# here; `python -m tests.models.twin_table` compares all.
SLOW = {
    *("resnet101", "resnet101_v1", "resnet152", "resnet152_v1"),
    *("preresnet101", "preresnet152", "preresnet200"),
    *("resnet1202_cifar", "preresnet1001_cifar"),
    *("densenet121", "densenet169", "densenet201", "densenet161"),
}


@pytest.mark.parametrize("name", [n for n in models.names() if n not in SLOW])
def test_float64(name):
    for mode, errors in compare(name, np.float64, *twins.pair(name, CLASSES)).items():
        assert max(errors) < 1e-9, (mode, errors)


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "resnet18", "nin_cifar10"])
def test_float32_at_full_size(name):
    """Outputs agree to 1e-4, gradients as closely as those of two float32 engines can.

    All networks: `python -m tests.models.twin_table --float32`.
    """
    options, make = twins.pair(name, CLASSES, full=True)
    found = distances(name, options, make)
    assert max(found["forward"]) < 1e-4, found
    assert max(found["eval"]) < 1e-4, found
    assert max(found["gradient"]) < 2e-2, found


def test_a_wrong_network_is_noticed():
    """A twin with one epsilon changed does not agree."""
    options, make = twins.pair("resnet20_cifar", CLASSES)

    def changed(masks):
        net = make(masks)
        net[1].eps = 1e-4
        return net

    assert (
        min(
            max(errors)
            for errors in compare("resnet20_cifar", np.float64, options, changed).values()
        )
        > 1e-7
    )


def test_layers_are_not_shared():
    """No two places of a network hold the same layer object."""
    for name in models.names():
        if name in SLOW:
            continue
        with skip_init():
            network = models.create(name)
        seen = [id(layer) for _, layer in network.named_layers() if isinstance(layer, Conv2d)]
        assert len(seen) == len(set(seen))
