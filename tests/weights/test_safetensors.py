"""Saving and loading models: complete, atomic, and clear about what does not fit."""

import json

import numpy as np
import pytest
import safetensors.numpy
from safetensors.numpy import save_file

import minicnn
from minicnn import data, models, training
from minicnn.errors import CheckpointError, DataError
from minicnn.layers import BatchNorm2d, Conv2d, Linear, Network, Sequential
from minicnn.weights import safetensors as ours
from minicnn.weights import to_torch

from ..damage import CASES, outcomes


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "resnet20_cifar", "nin_mnist"])
def test_save_and_load(tmp_path, name):
    minicnn.seed(4)
    options = {} if name == "lenet5_1998" else {"num_classes": 7}
    model = models.create(name, **options)
    minicnn.save(model, tmp_path / "m.safetensors")
    again = minicnn.load(tmp_path / "m.safetensors")
    assert (again.name, again.options, again.training) == (name, options, False)
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model.eval()(x))


def test_own_network(tmp_path):
    path = tmp_path / "own.safetensors"
    network = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2))
    network(np.random.default_rng(0).standard_normal((4, 5, 5, 1)).astype(np.float32))
    minicnn.save(network, path)
    with pytest.raises(
        CheckpointError,
        match=r"own\.safetensors: it does not say which model .* load\(path, model\)",
    ):
        minicnn.load(path)
    again = minicnn.load(path, Sequential(Conv2d(1, 2, 3), BatchNorm2d(2)))
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)
    with pytest.raises(
        CheckpointError,
        match=r"own\.safetensors: the weights do not fit the model: .*"
        r"0\.weight has shape \(3, 3, 1, 2\)",
    ):
        minicnn.load(path, Sequential(Conv2d(1, 4, 3), BatchNorm2d(4)))


def test_unknown_network(tmp_path):
    network = Network(conv=Conv2d(1, 2, 3))
    network.name, network.options = "tiny", {}
    minicnn.save(network, tmp_path / "t.safetensors")
    with pytest.raises(
        CheckpointError, match=r"t\.safetensors: its model cannot be made: there is no model 'tiny'"
    ):
        minicnn.load(tmp_path / "t.safetensors")


def test_an_option_that_has_been_renamed(tmp_path):
    """A file that was saved with `both_sides` gives the same network as today's `pad_both_ends`."""
    path = tmp_path / "old.safetensors"
    model = models.create("resnet20_cifar", seed=0, pad_both_ends=True).eval()
    about = {"name": model.name, "options": {"both_sides": True}, "classes": []}
    ours.write(path, model.state_dict(), {ours.MODEL: json.dumps(about)})
    again = minicnn.load(path)
    assert again.options == {"pad_both_ends": True}
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ("nonsense", "its model cannot be made"),
        ("[]", "its model cannot be made"),
        ('{"name": "lenet5", "options": [1], "classes": []}', "its model cannot be made"),
        (
            '{"name": "lenet5", "options": {"x": 1}, "classes": []}',
            "its model cannot be made: lenet5 has no option 'x'",
        ),
    ],
)
def test_damaged_description(tmp_path, about, fault):
    path = tmp_path / "x.safetensors"
    ours.write(path, models.create("lenet5").state_dict(), {ours.MODEL: about})
    with pytest.raises(CheckpointError, match=rf"x\.safetensors: {fault}"):
        minicnn.load(path)


@pytest.mark.parametrize("about", ["{", "[]", '{"classes": 3}', '{"preprocess": {"x": 1}}'])
def test_damaged_description_with_a_model(tmp_path, about):
    path = tmp_path / "t.safetensors"
    model = models.create("lenet5", num_classes=5)
    ours.write(path, model.state_dict(), {ours.MODEL: about})
    with pytest.raises(CheckpointError, match=r"t\.safetensors: its metadata are damaged"):
        minicnn.load(path, model)
    with pytest.raises(CheckpointError, match=r"t\.safetensors: its metadata are damaged"):
        models.create("lenet5", num_classes=5, weights=path)


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    path, model, other = tmp_path / "t.safetensors", *map(five_classes, ("abcde", "vwxyz"))
    minicnn.save(model, path)
    other.output = Linear(84, 6)
    with pytest.raises(CheckpointError, match="weights do not fit"):
        minicnn.load(path, other)
    assert other.classes == tuple("vwxyz")


def five_classes(names):
    model = models.create("lenet5", num_classes=5)
    model.classes = tuple(names)
    return model


def test_arrays_that_are_no_weights_are_refused_by_name(tmp_path):
    path = tmp_path / "x.safetensors"
    model = models.create("lenet5", seed=0)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    for name, array, fault in (
        ("C3.weight", np.full((5, 5, 6, 16), np.nan, np.float32), "C3.weight holds NaN"),
        ("C1.bias", np.zeros(6, np.int64), "C1.bias is int64; expected floating-point"),
        ("F6.bias", np.full(84, 1e200), r"F6.bias holds 1e\+200; float32 ends at"),
    ):
        ours.write(path, before | {name: array}, {})
        with pytest.raises(CheckpointError, match=rf"x\.safetensors: {fault}"):
            minicnn.load(path, model)
        with pytest.raises(CheckpointError, match=rf"x\.safetensors: {fault}"):
            models.create("lenet5", weights=path)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_diverged_network_is_not_saved(tmp_path):
    path = tmp_path / "x.safetensors"
    model = models.create("lenet5")
    minicnn.save(model, path)
    before = path.read_bytes()
    model.F6.weight.value[3, 4] = np.inf
    with pytest.raises(CheckpointError, match=r"x\.safetensors: not written: F6\.weight holds Inf"):
        minicnn.save(model, path)
    assert path.read_bytes() == before


def test_files_from_elsewhere(tmp_path):
    """A safetensors file without our metadata is read; the library reads ours."""
    path = tmp_path / "x.safetensors"
    model = models.create("lenet5")
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v) for k, v in model.state_dict().items()},
        path,
        {"made by": "someone"},
    )
    assert set(ours.load_state(path)) == set(model.state_dict())
    np.testing.assert_array_equal(
        minicnn.load(path, models.create("lenet5")).C1.weight.value, model.C1.weight.value
    )
    minicnn.save(model, path)
    np.testing.assert_array_equal(
        safetensors.numpy.load_file(path)["C1.weight"], model.C1.weight.value
    )


def test_every_part_is_under_the_checksum(tmp_path):
    path = tmp_path / "x.safetensors"
    minicnn.save(models.create("lenet5"), path)
    tensors, metadata = ours.read(path)
    metadata = {
        **metadata,
        ours.MODEL: json.dumps(
            {"name": "lenet5", "options": {"num_classes": 10}, "classes": ["x"]}
        ),
    }
    path.write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(
        CheckpointError, match="it is damaged: its contents do not have the checksum"
    ):
        minicnn.load(path)


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """Simulated by a limit on the size of files."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.safetensors"
    minicnn.save(models.create("lenet5", seed=1), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(CheckpointError) as caught:
            minicnn.save(models.create("lenet5", seed=2), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{path}: cannot be written: File too large"
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_file(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"nothing\.safetensors: cannot be read: No such file"
    ):
        minicnn.load(tmp_path / "nothing.safetensors")


def test_checkpoint(tmp_path):
    model = models.create("lenet5", seed=3)
    path = tmp_path / "lenet5.safetensors"
    minicnn.save(model, path)

    def read(path):
        return list(minicnn.load(path).state_dict().values())

    assert (
        outcomes(path, path.read_bytes(), read, list(model.state_dict().values()), CheckpointError)
        == CASES
    )


@pytest.mark.parametrize(
    "contents", [b"", b"\0" * 7, b"\0" * 8, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}" + b"\0" * 9]
)
def test_not_a_checkpoint(tmp_path, contents):
    path = tmp_path / "x.safetensors"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match="x.safetensors"):
        minicnn.load(path)


def test_files_from_elsewhere_have_torchs_layout(tmp_path):
    """bfloat16 is widened; a square matrix is transposed if the file is torch's, else refused."""
    path = tmp_path / "x.safetensors"
    head = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(head).encode().ljust(80)
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes([0x80, 0x3F, 0x00, 0x40]))
    np.testing.assert_array_equal(ours.load_state(path)["w"], np.float32([1, 2]))

    source = models.create("resnet18", num_classes=5, seed=3)
    save_file(to_torch(source), path, {"format": "pt"})
    model = models.create("resnet18", num_classes=5, weights=path)
    np.testing.assert_array_equal(model.fc.weight.value, source.fc.weight.value)

    w = np.arange(9, dtype=np.float32).reshape(3, 3)
    save_file({"fc.weight": w, "fc.bias": w[0]}, path, {"format": "pt"})
    model = minicnn.load(path, Sequential(fc=Linear(3, 3)))
    np.testing.assert_array_equal(model.fc.weight.value, w.T)
    save_file({"fc.weight": w, "fc.bias": w[0]}, path)
    with pytest.raises(CheckpointError, match="its matrices are square, and it does not say"):
        minicnn.load(path, Sequential(fc=Linear(3, 3)))
    save_file({"fc.weight": w[:2], "fc.bias": w[0]}, path)  # (2, 3): ours, by its shape
    model = minicnn.load(path, Sequential(fc=Linear(2, 3)))
    np.testing.assert_array_equal(model.fc.weight.value, w[:2])


def test_a_model_remembers_how_it_was_trained(tmp_path):
    """The recipe, the preprocessing, the data: what evaluates it later needs no guess."""
    train, test = data.digits(28)
    part = train[:64]
    model = models.create("lenet5", seed=0)
    own = data.Preprocess(size=(32, 32), image_size=(28, 28), mean=0.5, std=0.1)
    training.fit(model, part, test[:10], epochs=1, preprocess=own, out=tmp_path, progress=False)
    for name in ("last", "best"):
        again = minicnn.load(tmp_path / f"{name}.safetensors")
        assert again.preprocess == own
        assert again.trained_on == "digits"
        assert again.classes == tuple("0123456789")
    model.preprocess = lambda images: images / np.float32(255)
    minicnn.save(model, tmp_path / "own.safetensors")
    again = minicnn.load(tmp_path / "own.safetensors")
    with pytest.raises(DataError, match="a preprocess function of its own, which its file"):
        training.evaluate(again, test)


def test_a_header_is_read_without_the_numbers(tmp_path):
    path = tmp_path / "m.safetensors"
    network = models.create("lenet5", seed=0)
    minicnn.save(network, path)
    shapes, metadata = ours.read_header(path)
    assert shapes == {name: array.shape for name, array in network.state_dict().items()}
    assert metadata == ours.read(path)[1]
    contents = path.read_bytes()
    for damaged in (b"", contents[:100], b"x" * 1000, contents[:-10]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"m\.safetensors: it is not a safetensors file"):
            ours.read_header(path)
    with pytest.raises(CheckpointError, match=r"none\.safetensors: cannot be read: No such file"):
        ours.read_header(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        ours.read_header(tmp_path)
    ours.write(path, {"a": np.zeros((2, 3), np.float32)}, {})
    assert ours.read_header(path)[0] == {"a": (2, 3)}


def test_what_is_no_model_and_files_of_other_programs(tmp_path):
    path = tmp_path / "w.safetensors"
    for swapped in ("w.safetensors", {"weight": np.zeros(3)}, Linear):
        with pytest.raises(ValueError, match=r"is no model: expected save\(model, path\)"):
            minicnn.save(swapped, path)
    with pytest.raises(ValueError, match="expected the path of a file of weights, not NoneType"):
        minicnn.save(Linear(1, 1), None)
    with pytest.raises(ValueError, match="not NoneType"):
        minicnn.load(None)
    with pytest.raises(ValueError, match="model='lenet5': expected a network; name=... takes its"):
        minicnn.load(path, "lenet5")
    for name, hint in (("w.pth", r"weights=PATH\)"), ("w.onnx", "`minicnn convert`")):
        (tmp_path / name).write_bytes(b"PK and more")
        with pytest.raises(CheckpointError, match=rf"it is not a safetensors file.*{hint}"):
            minicnn.load(tmp_path / name)
