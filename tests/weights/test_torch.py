"""torch's checkpoints: read without torch, refused where they would execute something, and fitted into our networks by name."""

import collections
import hashlib
import pickle
import zipfile

import numpy as np
import pytest
import torch

from minicnn import models
from minicnn.errors import CheckpointError, DataError
from minicnn.weights import load_torch, read_torch, to_torch

FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


@pytest.fixture(params=FORMATS)
def save(request):
    return lambda value, path: torch.save(value, path, **FORMATS[request.param])


def test_all_types_and_views(tmp_path, save):
    """Every type, transposed and sliced views, shared storages, scalars, empty tensors, parameters."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = collections.OrderedDict(
        f32=base,
        transposed=base.T,
        sliced=base[1:3, ::2],
        scalar=torch.tensor(7),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.ones(3)),
        **{
            str(t).partition(".")[2]: torch.tensor([1, 0, 3]).to(t)
            for t in (torch.float64, torch.float16, torch.bfloat16)
        },
        **{
            str(t).partition(".")[2]: torch.tensor([1, 0, 3]).to(t)
            for t in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
        },
        bool=torch.tensor([True, False]),
    )
    save(state, tmp_path / "x.pth")
    found = read_torch(tmp_path / "x.pth")
    assert list(found) == list(state)
    for name, tensor in state.items():
        expected = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
        np.testing.assert_array_equal(found[name], expected.numpy(), err_msg=name)
        assert found[name].shape == tuple(tensor.shape)
        assert str(found[name].dtype) == str(expected.dtype).removeprefix("torch.")


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_checkpoints_around_the_weights(tmp_path, save, key):
    save({"epoch": 3, "best": 0.5, key: {"w": torch.ones(2)}, "note": "hello"}, tmp_path / "x.pt")
    np.testing.assert_array_equal(read_torch(tmp_path / "x.pt")["w"], [1, 1])


def test_module_state_dict(tmp_path, save):
    """A real state_dict carries `_metadata`; it is let through and forgotten."""
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    save(net.state_dict(), tmp_path / "x.pth")
    found = read_torch(tmp_path / "x.pth")
    assert set(found) == set(net.state_dict())
    np.testing.assert_array_equal(found["0.weight"], net[0].weight.detach().numpy())


class Evil:
    def __reduce__(self):
        return eval, ("print('executed')",)


def test_nothing_is_executed(tmp_path, save, capsys):
    path = tmp_path / "evil.pth"
    save({"w": Evil()}, path)
    with pytest.raises(
        CheckpointError, match=r"evil\.pth: it wants to execute __builtin__\.eval, which is refused"
    ):
        read_torch(path)
    save(torch.nn.Linear(2, 2), path)  # a whole module instead of its weights
    with pytest.raises(
        CheckpointError, match=r"it wants to execute torch\.nn\.modules\.linear\.Linear"
    ):
        read_torch(path)
    for attack in (
        b"cos\nsystem\n(S'echo executed'\ntR.",
        b"c__builtin__\nexec\n(S'1'\ntR.",
        pickle.dumps(Evil()),
    ):
        path.write_bytes(attack)
        with pytest.raises(CheckpointError, match="it wants to execute"):
            read_torch(path)
    assert "executed" not in capsys.readouterr().out


def test_other_contents(tmp_path, save):
    path = tmp_path / "x.pth"
    for value, message in (
        ([torch.ones(2)], "it holds no tensors by name, but list"),
        (torch.ones(2), "it holds no tensors by name, but ndarray"),
        ({"w": torch.ones(2), "lr": 0.1}, "lr is not a tensor but float"),
        ({}, "it holds no tensors by name"),
    ):
        save(value, path)
        with pytest.raises(CheckpointError, match=message):
            read_torch(path)


def test_damaged_files(tmp_path, save):
    path = tmp_path / "x.pth"
    save({f"w{i}": torch.randn(20) for i in range(5)}, path)
    contents = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for case in range(150):
        damaged = bytearray(contents)
        if case % 3:
            damaged[generator.integers(len(damaged))] ^= 1 << generator.integers(8)
        else:
            damaged = damaged[: generator.integers(len(damaged))]
        path.write_bytes(damaged)
        try:
            found = read_torch(path)
        except CheckpointError as error:
            refused += 1
            assert "x.pth" in str(error)
        else:
            assert all(isinstance(a, np.ndarray) for a in found.values())
    assert refused > 50
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_torch(tmp_path / "none.pth")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(CheckpointError, match="a zip archive, but not one of torch's"):
        read_torch(path)


def test_a_view_beyond_its_storage_is_refused(tmp_path):
    """A crafted file that describes a tensor larger than its storage must not read foreign memory."""
    path = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(n for n in entries if n.endswith("data.pkl"))
    assert entries[name].count(b"K\x04\x85") == 1  # the shape (4,)
    entries[name] = entries[name].replace(b"K\x04\x85", b"K\x7f\x85")
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    with pytest.raises(
        CheckpointError,
        match=r"a tensor of shape \(127,\) does not lie within its storage of 4 values",
    ):
        read_torch(path)


def torchvision_names(name, state):
    """What the names in torchvision look like, by their number and some samples."""
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
]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes(name):
    torchvision_names(name, to_torch(models.create(name, seed=0)))


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
    """Out by our names, through a real torch file with DataParallel's prefix and without the counters, and in again."""
    ours = models.create(name, seed=1, num_classes=5)
    for i, (_, buffer) in enumerate(ours.named_buffers()):
        buffer += 0.01 * i
    state = {
        f"module.{k}": torch.tensor(v)
        for k, v in to_torch(ours).items()
        if not k.endswith("num_batches_tracked")
    }
    save({"state_dict": state, "epoch": 90}, tmp_path / "x.pth")
    again = models.create(name, num_classes=5, weights=tmp_path / "x.pth")
    for tensor, array in ours.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[tensor], array, err_msg=tensor)


def test_flatten_order():
    """VGG's first linear layer reads C x H x W in torch and H x W x C here."""
    model = models.create("vgg11", seed=0, num_classes=3)
    state = to_torch(model)
    weight = state["classifier.0.weight"].reshape(4096, 512, 7, 7)
    h, w, c, unit = 2, 5, 300, 17
    assert weight[unit, c, h, w] == model.fc6.weight.value[(h * 7 + w) * 512 + c, unit]


def test_faults_are_listed():
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
    with pytest.raises(CheckpointError, match="vgg16_c has no counterpart"):
        to_torch(models.create("vgg16_c", num_classes=2))


def test_weights_by_path_checksum_and_url(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    ours = models.create("resnet20_cifar", seed=5)
    torch.save({k: torch.tensor(v) for k, v in to_torch(ours).items()}, path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    model = models.create("resnet20_cifar", weights=path, sha256=checksum)
    np.testing.assert_array_equal(model.conv1.weight.value, ours.conv1.weight.value)
    with pytest.raises(CheckpointError, match=r"w\.pth: its SHA-256 is .*, expected 00ff"):
        models.create("resnet20_cifar", weights=path, sha256="00ff")
    with pytest.raises(CheckpointError, match=r"w\.pth: the weights do not fit resnet32_cifar"):
        models.create("resnet32_cifar", weights=path)
    with pytest.raises(CheckpointError, match="give its sha256"):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w.pth")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="w-0123456789ab.pth could not be downloaded"):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w-0123456789ab.pth")
    (tmp_path / "weights").mkdir(exist_ok=True)
    cached = tmp_path / "weights" / f"w-{checksum[:8]}.pth"
    cached.write_bytes(path.read_bytes())
    model = models.create("resnet20_cifar", weights=f"http://127.0.0.1:9/{cached.name}")
    np.testing.assert_array_equal(model.linear.weight.value, ours.linear.weight.value)


def test_option_a_that_pads_both_sides():
    """The common CIFAR checkpoints pad channels in front and behind: the same weights give another network."""
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    behind, around = (
        models.create("resnet20_cifar", seed=0, both_sides=b).eval() for b in (False, True)
    )
    assert abs(behind(x) - around(x)).max() > 1e-3
    y = around.layer2[0].shortcut(np.ones((1, 4, 4, 16), np.float32))
    np.testing.assert_array_equal(y[0, 0, 0], np.r_[np.zeros(8), np.ones(16), np.zeros(8)])
