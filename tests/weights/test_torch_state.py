"""Names and layouts of torch's state_dicts, in both directions, and what does not fit."""

import re
from collections import OrderedDict

import numpy as np
import pytest
import torch

from minicnn import models
from minicnn.errors import CheckpointError
from minicnn.layers import Conv2d, Flatten, GroupNorm, LayerNorm, Linear, PReLU, Sequential
from minicnn.layers.init import skip_init
from minicnn.weights import load_torch, to_torch
from minicnn.weights.torch_state import layer_renaming, own_tensors


def torchvision_names(name, state):
    """Compare with the number of names in torchvision, and with some of them."""
    expected = {
        "alexnet_torchvision": (
            16,
            {"features.10.weight": (256, 256, 3, 3), "classifier.1.weight": (4096, 9216)},
        ),
        "vgg16": (
            32,
            {
                "features.28.weight": (512, 512, 3, 3),
                "classifier.0.weight": (4096, 25088),
                "classifier.6.bias": (1000,),
            },
        ),
        "vgg11_bn": (
            62,
            {"features.25.weight": (512, 512, 3, 3), "features.26.running_var": (512,)},
        ),
        "vgg16_bn": (
            97,
            {"features.40.weight": (512, 512, 3, 3), "features.41.num_batches_tracked": ()},
        ),
        "vgg19": (38, {"features.34.bias": (512,)}),
        "googlenet_torchvision": (
            344,
            {"inception4e.branch4.1.bn.running_mean": (128,), "conv2.conv.weight": (64, 64, 1, 1)},
        ),
        "resnet18": (
            122,
            {
                "layer2.0.downsample.0.weight": (128, 64, 1, 1),
                "fc.weight": (1000, 512),
                "bn1.num_batches_tracked": (),
            },
        ),
        "resnet50": (
            320,
            {
                "layer1.0.downsample.1.running_mean": (256,),
                "layer4.2.conv3.weight": (2048, 512, 1, 1),
            },
        ),
        "squeezenet1_0": (
            52,
            {
                "features.7.expand3x3.weight": (128, 32, 3, 3),
                "features.12.squeeze.bias": (64,),
                "classifier.1.weight": (1000, 512, 1, 1),
            },
        ),
        "squeezenet1_1": (
            52,
            {"features.4.squeeze.weight": (16, 128, 1, 1), "features.12.expand1x1.bias": (256,)},
        ),
        "mobilenet_v2": (
            314,
            {
                "features.0.1.running_mean": (32,),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.2.weight": (16,),
                "features.6.conv.2.weight": (32, 192, 1, 1),
                "features.17.conv.3.running_var": (320,),
                "features.18.0.weight": (1280, 320, 1, 1),
                "classifier.1.weight": (1000, 1280),
            },
        ),
        "densenet121": (
            727,
            {
                "features.conv0.weight": (64, 3, 7, 7),
                "features.denseblock4.denselayer16.conv1.weight": (128, 992, 1, 1),
                "features.transition3.norm.running_var": (1024,),
                "classifier.weight": (1000, 1024),
            },
        ),
        "resnet20_cifar": (116, {"layer3.2.bn2.weight": (64,), "linear.weight": (10, 64)}),
    }[name]
    assert len(state) == expected[0]
    for tensor, shape in expected[1].items():
        assert state[tensor].shape == shape, tensor


NAMES = [
    "alexnet_torchvision",
    "vgg16",
    "vgg11_bn",
    "vgg16_bn",
    "vgg19",
    "googlenet_torchvision",
    "resnet18",
    "resnet50",
    "resnet20_cifar",
    "squeezenet1_0",
    "squeezenet1_1",
    "mobilenet_v2",
    "densenet121",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes(name):
    with skip_init():
        torchvision_names(name, to_torch(models.create(name)))


def test_googlenet_with_heads():
    state = to_torch(models.create("googlenet_torchvision", aux=True))
    assert len(state) == 364
    assert state["aux1.fc1.weight"].shape == (1024, 2048)
    plain = models.create("googlenet_torchvision", aux=False)
    load_torch(plain, state)
    np.testing.assert_array_equal(to_torch(plain)["fc.weight"], state["fc.weight"])


@pytest.mark.parametrize(
    "name", ["alexnet_torchvision", "googlenet_torchvision", "resnet18", "resnet20_cifar"]
)
def test_round_trip_through_a_file(tmp_path, save, name):
    """Through a torch file with DataParallel's prefix and without the counters, and back."""
    small = {"hidden": 64} if name.startswith("alexnet") else {}
    ours = models.create(name, seed=1, num_classes=5, **small)
    for i, (_, buffer) in enumerate(ours.named_buffers()):
        buffer += 0.01 * i
    state = {
        f"module.{k}": torch.tensor(v)
        for k, v in to_torch(ours).items()
        if not k.endswith("num_batches_tracked")
    }
    save({"state_dict": state, "epoch": 90}, tmp_path / "x.pth")
    decided = {"pad_both_ends": False} if "cifar" in name else {}
    again = models.create(name, num_classes=5, weights=tmp_path / "x.pth", **small, **decided)
    for tensor, array in ours.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[tensor], array, err_msg=tensor)


def test_flatten_order():
    """VGG's first linear layer reads C x H x W in torch and H x W x C here."""
    model = models.create("vgg11", seed=0, num_classes=3, hidden=32)
    state = to_torch(model)
    weight = state["classifier.0.weight"].reshape(32, 512, 7, 7)
    h, w, c, unit = 2, 5, 300, 17
    assert weight[unit, c, h, w] == model.fc6.weight.value[(h * 7 + w) * 512 + c, unit]


def test_faults_are_named():
    model = models.create("resnet20_cifar")
    state = to_torch(model)
    del state["bn1.weight"]
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    state["fc.weight"] = np.zeros((10, 64))
    before = model.conv1.weight.value.copy()
    with pytest.raises(CheckpointError) as caught:
        load_torch(model, state)
    text = str(caught.value)
    assert "bn1.weight is missing (expected (16,))" in text
    assert "conv1.weight has shape (16, 1, 3, 3), expected (16, 3, 3, 3)" in text
    assert "fc.weight (10, 64) is not in the model" in text
    np.testing.assert_array_equal(model.conv1.weight.value, before)


def test_arrays_that_are_no_weights_are_refused_by_torchs_names():
    model = models.create("resnet20_cifar", seed=0)
    before = model.conv1.weight.value.copy()
    for name, value, fault in (
        ("layer2.0.conv1.weight", np.nan, "layer2.0.conv1.weight holds NaN"),
        ("linear.weight", np.inf, "linear.weight holds Inf"),
    ):
        state = to_torch(model)
        state[name].reshape(-1)[7] = value
        with pytest.raises(CheckpointError, match=fault):
            load_torch(model, state)
    state = to_torch(model)
    state["bn1.bias"] = np.zeros(16, np.int64)
    with pytest.raises(CheckpointError, match=r"bn1\.bias is int64; expected floating-point"):
        load_torch(model, state)
    np.testing.assert_array_equal(model.conv1.weight.value, before)


def test_names_of_older_files():
    """Torchvision's files of DenseNets have the names that its code had before torch 0.4."""
    with skip_init():
        model = models.create("densenet121")
    state = to_torch(model)
    older = {
        re.sub(r"(denselayer.*)(norm|conv)([12])", r"\1\2.\3", name): array
        for name, array in state.items()
    }
    assert "features.denseblock1.denselayer2.norm.1.running_mean" in older
    found = own_tensors(model, older)
    assert found.keys() == {name for name in state if not name.endswith("num_batches_tracked")}
    assert all(found[name] is state[name] for name in found)


def test_a_network_with_bypasses_is_not_torchvisions():
    """Its weights would fit, but it is another network."""
    state = to_torch(models.create("squeezenet1_0", num_classes=3))
    with pytest.raises(CheckpointError, match=r"features\.12\.body\.squeeze\.bias is missing"):
        load_torch(models.create("squeezenet1_0", num_classes=3, bypass="simple"), state)


def test_layer_renaming():
    translate = layer_renaming({"conv1": "features.0", "block.fc": "classifier"})
    assert translate("conv1.weight") == "features.0.weight"
    assert translate("block.fc.bias") == "classifier.bias"


def test_the_wrong_file_gives_one_sentence():
    state = to_torch(models.create("resnet18", num_classes=10))
    with pytest.raises(
        CheckpointError, match=r"the weights do not fit vgg11: .* more like these$"
    ) as e:
        load_torch(models.create("vgg11", hidden=32), state)
    assert len(str(e.value)) < 500


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "model.net."])
def test_wrappers_in_any_nesting(prefix):
    ours = models.create("resnet18", seed=1, num_classes=3)
    state = {f"{prefix}{name}": array for name, array in to_torch(ours).items()}
    state["n_averaged"] = np.array(7)
    other = models.create("resnet18", seed=2, num_classes=3)
    load_torch(other, state)
    np.testing.assert_array_equal(other.fc.weight.value, ours.fc.weight.value)


def test_a_network_of_ones_own():
    """Names are the network's; flattened maps are read in torch's order if they are known."""
    shape = (4, 4, 3)
    ours = Sequential(conv=Conv2d(3, 2, 3), flat=Flatten(), fc=Linear(8, 8), input_shape=shape)
    state = to_torch(ours)
    assert state["fc.weight"].shape == (8, 8)
    other = Sequential(conv=Conv2d(3, 2, 3), flat=Flatten(), fc=Linear(8, 8), input_shape=shape)
    load_torch(other, state)
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    np.testing.assert_array_equal(other(x), ours(x))
    unknown = Sequential(conv=Conv2d(3, 2, 3), flat=Flatten(), fc=Linear(8, 8))
    with pytest.raises(CheckpointError, match=r"give the network an input_shape=\(H, W, C\)"):
        load_torch(unknown, state)


def test_norms_and_prelu_have_torchs_names():
    """A network with them gives torch's outputs with torch's weights, and returns these."""
    ours = Sequential(
        conv=Conv2d(3, 6, 3),
        norm=GroupNorm(2, 6),
        prelu=PReLU(6),
        flat=Flatten(),
        one=PReLU(),
        fc=Linear(6 * 4 * 2, 5),
        last=LayerNorm(5),
        input_shape=(6, 4, 3),
    )
    theirs = torch.nn.Sequential(
        OrderedDict(
            conv=torch.nn.Conv2d(3, 6, 3),
            norm=torch.nn.GroupNorm(2, 6),
            prelu=torch.nn.PReLU(6),
            flat=torch.nn.Flatten(),
            one=torch.nn.PReLU(),
            fc=torch.nn.Linear(48, 5),
            last=torch.nn.LayerNorm(5),
        )
    )
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.uniform_(-1, 1)
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    load_torch(ours, state)
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 3)).astype(np.float32)
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), expected, rtol=1e-4, atol=1e-5)
    back = to_torch(ours)
    assert back.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array)
