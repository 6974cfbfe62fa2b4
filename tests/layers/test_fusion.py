"""`fuse`: the same numbers as the layers that it replaces, in training and in evaluation."""

import numpy as np
import pytest

import minicnn
from minicnn import layers, models
from minicnn.kernels import functional as F
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Network,
    ReLU,
    Residual,
    Sequential,
    fuse,
)
from minicnn.layers.dense import DenseBlock
from minicnn.layers.fused import ConvNorm, FrozenStart, ReLUChain, ResidualNorm, SummingConcat


def chain():
    return Sequential(
        conv1=Conv2d(4, 5, 3, activation="relu"),
        conv2=Conv2d(5, 3, 1, activation="relu"),
        pool2=MaxPool2d(3, stride=2, padding=1),
        conv3=Conv2d(3, 3, 1, activation="relu"),
        conv4=Conv2d(3, 2, 1, activation="tanh"),
        conv5=Conv2d(2, 2, 1),
    )


def normed():
    return Sequential(
        conv1=Conv2d(4, 6, 3, padding=1),
        bn1=BatchNorm2d(6, activation="relu"),
        conv2=Conv2d(6, 4, 3, padding=1, groups=2, bias=False),
        bn2=BatchNorm2d(4),
    )


def block(shortcut=None, activation="relu"):
    return Residual(normed(), shortcut, activation)


def preactivated():
    return Residual(Sequential(BatchNorm2d(4, activation="relu"), Conv2d(4, 4, 1)))


def dense(channels):
    return Sequential(
        norm1=BatchNorm2d(channels, activation="relu"),
        conv1=Conv2d(channels, 5, 1, bias=False),
        norm2=BatchNorm2d(5, activation="relu"),
        conv2=Conv2d(5, 3, 3, padding=1),
    )


def inception():
    return layers.Concat(
        one=Conv2d(4, 3, 1, activation="relu"),
        three=Sequential(Conv2d(4, 2, 1, activation="relu"), Conv2d(2, 3, 3, padding=1)),
        pool=Sequential(MaxPool2d(3, stride=1, padding=1), Conv2d(4, 2, 1, activation="relu")),
        plain=Conv2d(4, 2, 3, padding=1, activation="tanh"),
        normed=normed(),
        rest=Sequential(layers.Identity()),
    )


NETWORKS = {
    "branches": inception,
    "chain": chain,
    "chain that ends with a pool": lambda: Sequential(*list(chain())[:3], Flatten(), Linear(36, 2)),
    "batch norms": normed,
    "block": block,
    "block with a shortcut": lambda: block(Sequential(Conv2d(4, 4, 1), BatchNorm2d(4)), None),
    "pre-activation": preactivated,
    "dense block": lambda: Sequential(
        *(layers.Concat(layers.Identity(), dense(c)) for c in (4, 7, 10)),
        BatchNorm2d(13, activation="relu"),
    ),
    "dense block alone": lambda: Sequential(
        *(layers.Concat(old=layers.Identity(), new=dense(c)) for c in (4, 7)),
    ),
    "blocks in a concatenation": lambda: layers.Concat(a=block(), b=Sequential(preactivated())),
}


def run(network, model, x, train):
    """Output, dx and gradients of one step, with the statistics left as they were."""
    state = {name: array.copy() for name, array in model.state_dict().items()}
    network.train(train)
    model.zero_grad()
    y = network(x)
    dx = network.backward(np.cos(y))
    model.load_state_dict(state)
    return [y, dx, *(p.grad.copy() for p in model.parameters())]


def randomized(model):
    generator = np.random.default_rng(1)
    for name, array in model.state_dict().items():
        array += 0.3 * generator.random(array.shape) * (1 if "var" in name else -1)
    return model


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_numbers(name, backend, train):
    model = randomized(NETWORKS[name]())
    fused = fuse(model)
    assert [id(p) for p in fused.parameters()] == [id(p) for p in model.parameters()]
    x = np.random.default_rng(0).standard_normal((3, 9, 8, 4)).astype(np.float32)
    with minicnn.use(backend):
        for ours, plain in zip(
            run(fused, model, x, train), run(model, model, x, train), strict=True
        ):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())
        with minicnn.no_grad():
            y, plain = fused.train(train)(x), None
            model.load_state_dict({k: v.copy() for k, v in model.state_dict().items()})
            if not train:
                plain = model.eval()(x)
                np.testing.assert_allclose(y, plain, rtol=1e-4, atol=1e-5 * abs(plain).max())


def test_what_is_fused():
    net = Network(
        conv1=Conv2d(3, 4, 3),
        bn1=BatchNorm2d(4, activation="relu"),
        block=Residual(normed(), None, "relu"),
        conv2=Conv2d(4, 4, 3, activation="relu"),
        pool2=MaxPool2d(2),
        conv3=Conv2d(4, 4, 1),
        relu=ReLU(),
        branches=inception(),
        pool=GlobalAvgPool2d(),
        input_shape=(12, 12, 3),
    )
    fused = fuse(net)
    assert list(fused._layers) == [
        "conv1+bn1",
        "block",
        "conv2+pool2",
        "conv3",
        "relu",
        "branches",
        "pool",
    ]
    kinds = [type(layer) for layer in fused][:6]
    assert kinds == [ConvNorm, ResidualNorm, ReLUChain, Conv2d, ReLU, SummingConcat]
    assert isinstance(fused, Network) and fused.input_shape == (12, 12, 3)
    assert list(net._layers)[:2] == ["conv1", "bn1"], "the model itself stays as it is"
    with pytest.raises(minicnn.errors.ShapeError, match=r"^conv1\+bn1: Conv2d"):
        fused.eval()(np.zeros((1, 9, 9, 2), np.float32))


@pytest.mark.parametrize(
    ("network", "additions"), [(block, 0), (inception, 1), (lambda: Sequential(inception()), 1)]
)
def test_a_convolution_adds_dx_of_the_other_path(network, additions, monkeypatch):
    """Of Inception's branches, pooling and the identity begin with none: their sum is a pass."""
    added = []
    monkeypatch.setattr(F, "add", lambda a, b: added.append(1) or a + b)
    fused = fuse(network())
    x = np.zeros((2, 5, 6, 4), np.float32)
    fused.backward(np.ones_like(fused(x)))
    assert len(added) == additions


def test_dense_layers_in_a_row_are_one_block():
    net = Sequential(
        conv=Conv2d(3, 4, 1),
        one=layers.Concat(layers.Identity(), dense(4)),
        two=layers.Concat(layers.Identity(), dense(7)),
        other=layers.Concat(dense(10), layers.Identity()),
        last=layers.Concat(layers.Identity(), dense(13)),
        input_shape=(5, 6, 3),
    )
    fused = fuse(net)
    assert list(fused._layers) == ["conv", "one+two", "other", "last"]
    assert isinstance(fused[1], DenseBlock)
    assert fused.output_shape((2, 5, 6, 3)) == net.output_shape((2, 5, 6, 3)) == (2, 5, 6, 16)
    assert isinstance(fused[1].branches["two"]["conv1+norm2"], ConvNorm)
    with pytest.raises(minicnn.errors.ShapeError, match=r"^one\.norm1: BatchNorm2d"):
        fused["one+two"](np.zeros((1, 5, 5, 3), np.float32))
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)
    y = fused["one+two"](fused.conv(x))
    for branch in fused["one+two"].branches.values():
        assert np.shares_memory(branch.norm1._saved[0], y), "the maps are copied"
    dy = np.ones_like(y)
    fused["one+two"].backward(dy)
    assert (dy == 1).all(), "the gradient that is given stays as it is"


def test_a_layer_of_ones_own_is_left_alone():
    class Doubled(Conv2d):
        def forward(self, x, out=None):
            return super().forward(2 * x, out)

    net = Sequential(Doubled(3, 4, 3), BatchNorm2d(4))
    assert [type(layer) for layer in fuse(net)] == [Doubled, BatchNorm2d]


@pytest.mark.parametrize("name", ["resnet20_cifar", "nin_cifar10", "lenet5_1998"])
def test_networks(name):
    """float64 on the reference: fused and unfused steps agree to rounding."""
    model = models.create(name, seed=0).astype(np.float64)
    for _, layer in model.named_layers():
        if isinstance(layer, layers.Dropout):
            layer.p = 0.0
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape))
    for ours, plain in zip(
        run(fuse(model), model, x, True), run(model, model, x, True), strict=True
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12 * abs(plain).max())


def test_filters_are_transformed_again_after_training():
    """In evaluation the CPU keeps Winograd's filters; new weights in the same array are noticed."""
    conv = Conv2d(32, 32, 3, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 12, 12, 32)).astype(np.float32)
    with minicnn.no_grad():
        before = conv(x)
        np.testing.assert_array_equal(conv(x), before)
        conv.weight.value *= 2
        changed = conv(x) - conv.bias.value
    np.testing.assert_allclose(changed, 2 * (before - conv.bias.value), rtol=1e-3, atol=1e-4)


def test_frozen_layers_at_the_start_save_nothing(monkeypatch):
    """The gradients of the others are those of the unfused model; dx cannot be had."""
    calls = []
    for name in ("conv2d_grad_input", "conv2d_grad_weight"):
        real = getattr(F, name)
        monkeypatch.setattr(
            F, name, lambda *a, name=name, real=real, **k: (calls.append(name), real(*a, **k))[1]
        )
    model = Network(
        conv1=Conv2d(3, 6, 3),
        bn1=BatchNorm2d(6, activation="relu"),
        stage=Sequential(
            conv2=Conv2d(6, 4, 3), relu=ReLU(), conv3=Conv2d(4, 4, 1), bn3=BatchNorm2d(4)
        ),
        pool=GlobalAvgPool2d(),
        fc=Linear(4, 5),
    )
    x = np.random.default_rng(0).standard_normal((3, 9, 8, 3), dtype=np.float32)
    labels = np.arange(3)
    for names, inputs, weights in (
        (["conv1", "bn1"], 1, 2),
        (["conv1", "bn1", "stage.conv2"], 0, 1),
        (["conv1", "bn1", "stage"], 0, 0),
    ):
        with minicnn.no_grad():
            model.unfreeze("*").train()(x)  # nothing is saved
        fused = fuse(model.freeze(*names))
        assert isinstance(fused, FrozenStart)
        calls.clear()
        _, dy = minicnn.softmax_cross_entropy(fused(x), labels)
        fused.backward(dy, need_dx=False)
        assert calls.count("conv2d_grad_input") == inputs
        assert calls.count("conv2d_grad_weight") == weights
        assert all(layer._saved is None for _, layer in fused.start.named_layers())
        found = {name: p._grad for name, p in model.named_parameters()}
        model.zero_grad()
        _, dy = minicnn.softmax_cross_entropy(model(x), labels)
        model.backward(dy)
        for name, parameter in model.named_parameters():
            assert (found[name] is None) == parameter.frozen
            if not parameter.frozen:
                np.testing.assert_allclose(found[name], parameter.grad, rtol=1e-4, atol=1e-6)
        model.zero_grad()
        fused(x)
        with pytest.raises(RuntimeError, match="the first layers are frozen"):
            fused.backward(dy)
    assert not isinstance(fuse(model.unfreeze("*").freeze("fc")), FrozenStart)


def test_a_head_that_reads_a_frozen_layer_is_trained():
    model = models.create("googlenet", seed=0, num_classes=5, input_size=224)
    model.freeze("conv*", "inception*")
    fused = fuse(model.train())
    assert isinstance(fused, FrozenStart)
    outputs = fused(np.random.default_rng(0).standard_normal((1, 224, 224, 3), dtype=np.float32))
    fused.backward(tuple(np.ones_like(y) for y in outputs), need_dx=False)
    without = {name for name, p in model.named_parameters() if p._grad is None}
    assert without == {name for name, p in model.named_parameters() if p.frozen}
    assert any(name.startswith("aux1") for name, p in model.named_parameters() if p.grad.any())
