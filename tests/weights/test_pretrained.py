"""Weights by path and URL: verified, cached, loaded."""

import hashlib

import numpy as np
import pytest
import torch

import minicnn
from minicnn import data, models, training
from minicnn.errors import CheckpointError, DataError
from minicnn.training.metrics import preprocess_of
from minicnn.weights import to_torch
from minicnn.weights.pretrained import load_into


def test_weights_by_path_checksum_and_url(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    ours = models.create("resnet20_cifar", seed=5)
    torch.save({k: torch.tensor(v) for k, v in to_torch(ours).items()}, path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    pad = {"pad_both_ends": False}
    model = models.create("resnet20_cifar", weights=path, sha256=checksum, **pad)
    np.testing.assert_array_equal(model.conv1.weight.value, ours.conv1.weight.value)
    with pytest.raises(CheckpointError, match=r"w\.pth: its SHA-256 is .*, expected 00ff"):
        models.create("resnet20_cifar", weights=path, sha256="00ff")
    with pytest.raises(CheckpointError, match=r"w\.pth: the weights do not fit resnet32_cifar"):
        models.create("resnet32_cifar", weights=path, **pad)
    with pytest.raises(CheckpointError, match=r"w\.pth: give sha256=\.\.\."):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w.pth")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="w-0123456789ab.pth could not be downloaded"):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w-0123456789ab.pth")
    (tmp_path / "weights").mkdir(exist_ok=True)
    cached = tmp_path / "weights" / f"w-{checksum[:8]}.pth"
    cached.write_bytes(path.read_bytes())
    model = models.create("resnet20_cifar", weights=f"http://127.0.0.1:9/{cached.name}", **pad)
    np.testing.assert_array_equal(model.linear.weight.value, ours.linear.weight.value)


def test_both_kinds_of_file_leave_the_network_in_training_mode(tmp_path):
    source = models.create("resnet20_cifar", seed=5)
    minicnn.save(source, tmp_path / "w.safetensors")
    torch.save({k: torch.tensor(v) for k, v in to_torch(source).items()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        model = models.create("resnet20_cifar", pad_both_ends=False).eval()
        load_into(model, tmp_path / name)
        assert model.training
        assert model.layer3[2].body.bn2.training
        np.testing.assert_array_equal(model.linear.weight.value, source.linear.weight.value)


def test_a_file_that_is_missing_or_no_checkpoint(tmp_path):
    (tmp_path / "w.pth").write_text("hello")
    for name, fault in (
        ("none.pth", r"none\.pth: cannot be read: No such file"),
        ("none.safetensors", r"none\.safetensors: cannot be read: No such file"),
        ("w.pth", r"w\.pth: it is not a torch file"),
    ):
        with pytest.raises(CheckpointError, match=fault):
            models.create("lenet5", weights=tmp_path / name)


def test_the_contents_of_a_file_decide_not_its_name(tmp_path):
    """safetensors called .pth, as `save(model, "w.pth")` writes them, and the other way round."""
    ours = models.create("lenet5", seed=5)
    minicnn.save(ours, tmp_path / "w.pth")
    state = {k: torch.tensor(v) for k, v in to_torch(ours).items()}
    torch.save(state, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        model = models.create("lenet5", weights=tmp_path / name)
        np.testing.assert_array_equal(model.C1.weight.value, ours.C1.weight.value)


def test_what_is_no_file_of_weights(tmp_path):
    with pytest.raises(ValueError, match="weights: expected a path or URL, not dict; .*load_torch"):
        models.create("lenet5", weights={"w": np.zeros(1)})
    (tmp_path / "w.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(CheckpointError, match=r"w\.onnx: it is no file of weights; .*convert"):
        models.create("lenet5", weights=tmp_path / "w.onnx")
    np.savez(tmp_path / "w.npz", w=np.zeros(1))
    with pytest.raises(CheckpointError, match=r"w\.npz: it is no file of weights; .*numpy\.load"):
        models.create("lenet5", weights=tmp_path / "w.npz")
    with pytest.raises(CheckpointError, match=r"w\.npz: it is not a safe.*expected `numpy\.load`"):
        minicnn.load(tmp_path / "w.npz")
    (tmp_path / "w.npz").rename(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth: it is not a torch file, but NumPy's npz"):
        models.create("lenet5", weights=tmp_path / "w.pth")


def test_options_that_a_torch_file_does_not_tell(tmp_path):
    """A CIFAR ResNet whose shortcuts pad on the other side would be wrong without a word."""
    ours = models.create("resnet20_cifar", seed=5, pad_both_ends=True)
    torch.save({k: torch.tensor(v) for k, v in to_torch(ours).items()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth: torch's files of resnet20_cifar"):
        models.create("resnet20_cifar", weights=tmp_path / "w.pth")
    model = models.create("resnet20_cifar", weights=tmp_path / "w.pth", pad_both_ends=True)
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.eval()(x), ours.eval()(x))


@pytest.mark.parametrize(
    ("name", "options", "mean", "std"),
    [
        ("vgg11", {"hidden": 32}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("resnet18", {}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("googlenet_torchvision", {}, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("resnet20_cifar", {"pad_both_ends": True}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_weights_bring_their_preprocessing(tmp_path, name, options, mean, std):
    options = {**options, "num_classes": 3}
    path = tmp_path / "w.pth"
    state = to_torch(models.create(name, **options))
    torch.save({k: torch.tensor(v) for k, v in state.items()}, path)
    model = models.create(name, weights=path, **options)
    white = np.full((1, 256, 256, 3), 255, np.uint8)[
        :, : model.input_shape[0], : model.input_shape[1]
    ]
    expected = (1 - np.array(mean)) / std
    np.testing.assert_allclose(preprocess_of(model)(white)[0, 0, 0], expected, rtol=1e-5)
    minicnn.save(model, tmp_path / "again.safetensors")
    again = minicnn.load(tmp_path / "again.safetensors")
    assert preprocess_of(again) == preprocess_of(model)


def test_a_real_file_of_a_cifar_resnet():
    """ResNet-32 by akamaster: 80.8 % of 500 test images, which are lossy here, as in torch."""
    path = data.cache_folder() / "weights" / "resnet32-d509ac18.th"
    archive = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not (path.is_file() and archive.is_file()):
        pytest.skip(f"{path} or {archive} is not on this machine")
    model = models.create("resnet32_cifar", weights=path, pad_both_ends=True)
    options = {"report": lambda line: None, "memory": 0, "for_test": True}
    _, test = data.load(str(archive), **options)  # files, of which only the part is decoded
    part = test[np.arange(0, len(test), 20)]
    assert training.evaluate(model, part).accuracy == pytest.approx(0.808, abs=0.03)
