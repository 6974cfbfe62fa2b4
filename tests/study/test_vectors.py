"""Test vectors: every operation is there, torch gives the same numbers, a seed repeats them."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from minicnn.kernels import functional
from minicnn.study.vectors import OPERATIONS, RESAMPLED, vectors, write_vectors

LEFT_OUT = {
    "resample2d": "its matrices are those of RESAMPLED",
    "activate": "relu, sigmoid, ... by name",
    "activation_grad": "relu, sigmoid, ... by name",
    "empty": "makes memory only",
    "fold_batch_norm": "a composition",
    "conv2d_affine": "a composition",
    "conv2d_grad_input_relu": "a composition",
    "conv2d_grad_input_add": "a composition",
    "batch_norm_add": "a composition",
}


def test_every_operation_is_there():
    forward = {name for name in functional.OPERATIONS if "_grad" not in name}
    assert forward - set(LEFT_OUT) | set(RESAMPLED) == set(OPERATIONS)


def test_files_hold_what_vectors_gives(tmp_path):
    paths = write_vectors(tmp_path / "made", seed=3)
    assert [path.stem for path in paths] == list(OPERATIONS)
    for path in paths:
        with safe_open(path, "numpy") as file:
            metadata, keys = file.metadata(), set(file.keys())
            assert metadata["format"] == "minicnn-vectors 1"
            assert metadata["definition"]
            cases = json.loads(metadata["cases"])
            for index, (_, inputs, results) in enumerate(vectors(path.stem, 3)):
                assert cases[index]["inputs"] == list(inputs)
                for part, arrays in (("in", inputs), ("out", results)):
                    for name, array in arrays.items():
                        key = f"{index}/{part}/{name}"
                        assert np.array_equal(file.get_tensor(key), array)
                        assert np.isfinite(array).all()
                        keys.remove(key)
        assert not keys
    again = write_vectors(tmp_path / "again", seed=3)
    other = write_vectors(tmp_path / "other", seed=4)
    for a, b, c in zip(paths, again, other, strict=True):
        assert a.read_bytes() == b.read_bytes() != c.read_bytes()


def pair(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def test_torch_computes_the_same_convolutions():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    for settings, inputs, results in vectors("conv2d"):
        x, dy = (torch.tensor(inputs[n].transpose(0, 3, 1, 2)) for n in ("x", "dy"))
        w, b = torch.tensor(inputs["w"].transpose(3, 2, 0, 1)), torch.tensor(inputs["b"])
        for tensor in (x, w, b):
            tensor.requires_grad_()
        (top, bottom), (left, right) = map(pair, pair(settings.get("padding", 0)))
        others = {k: v for k, v in settings.items() if k != "padding"}
        y = nn.conv2d(nn.pad(x, (left, right, top, bottom)), w, b, **others)
        y.backward(dy)
        for name, found, axes in (
            ("y", y.detach(), (0, 2, 3, 1)),
            ("dx", x.grad, (0, 2, 3, 1)),
            ("dw", w.grad, (2, 3, 1, 0)),
            ("db", b.grad, (0,)),
        ):
            assert np.allclose(found.numpy().transpose(axes), results[name], rtol=1e-12)


def test_torch_computes_the_same_transposed_convolutions():
    torch = pytest.importorskip("torch")
    for settings, inputs, results in vectors("conv_transpose2d"):
        axes = {"x": (0, 3, 1, 2), "dy": (0, 3, 1, 2), "w": (3, 2, 0, 1), "b": (0,)}
        x, dy, w, b = (torch.tensor(inputs[n].transpose(a).copy()) for n, a in axes.items())
        for tensor in (x, w, b):
            tensor.requires_grad_()
        others = {k: v for k, v in settings.items() if k != "padding"}
        whole = torch.nn.functional.conv_transpose2d(x, w, b, **others)
        (top, bottom), (left, right) = map(pair, pair(settings.get("padding", 0)))
        y = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
        y.backward(dy)
        assert np.allclose(y.detach().numpy().transpose(0, 2, 3, 1), results["y"], rtol=1e-12)
        assert np.allclose(x.grad.numpy().transpose(0, 2, 3, 1), results["dx"], rtol=1e-12)
        assert np.allclose(w.grad.numpy().transpose(2, 3, 1, 0), results["dw"], rtol=1e-12)
        assert np.allclose(b.grad.numpy(), results["db"], rtol=1e-12)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_torch_computes_the_same_pooling(name):
    torch = pytest.importorskip("torch")
    for settings, inputs, results in vectors(name):
        x = torch.tensor(inputs["x"].transpose(0, 3, 1, 2)).requires_grad_()
        y = getattr(torch.nn.functional, name)(x, **settings)
        y.backward(torch.tensor(inputs["dy"].transpose(0, 3, 1, 2)))
        for key, found in (("y", y.detach()), ("dx", x.grad)):
            assert np.allclose(found.numpy().transpose(0, 2, 3, 1), results[key], rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu", "softmax_cross_entropy"])
def test_torch_computes_the_same_functions(name):
    torch = pytest.importorskip("torch")
    for settings, inputs, results in vectors(name):
        if "class_weights" in inputs:
            continue  # torch divides by the sum of the weights
        if name == "softmax_cross_entropy":
            x = torch.tensor(inputs["logits"]).requires_grad_()
            y = torch.nn.functional.cross_entropy(x, torch.tensor(inputs["labels"]), **settings)
            y.backward()
            y_name, dx_name = "loss", "dlogits"
        else:
            x = torch.tensor(inputs["x"]).requires_grad_()
            function = torch.nn.functional.gelu if name == "gelu" else getattr(torch, name)
            y = function(x)
            y.backward(torch.tensor(inputs["dy"]))
            y_name, dx_name = "y", "dx"
        assert np.allclose(y.detach().numpy(), results[y_name], rtol=1e-12)
        assert np.allclose(x.grad.numpy(), results[dx_name], rtol=1e-10, atol=1e-15)


def test_an_unknown_operation():
    with pytest.raises(ValueError, match="operation='conv3d': expected one of conv2d, conv_tr"):
        vectors("conv3d")
