"""torch's files are read without torch; files that would execute code are rejected."""

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from minicnn.errors import CheckpointError
from minicnn.weights import read_torch


def test_all_types_and_views(tmp_path, save):
    """Every type, transposed and sliced views, shared storages, scalars, empty tensors."""
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


def test_views_with_the_other_sign(tmp_path, save):
    """torch keeps the imaginary part of a conjugate as a view and a bit."""
    view = torch.complex(torch.ones(3), torch.arange(3.0)).conj().imag
    assert view.is_neg()
    save({"w": view}, tmp_path / "x.pth")
    np.testing.assert_array_equal(read_torch(tmp_path / "x.pth")["w"], [0, -1, -2])


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
        CheckpointError, match=r"evil\.pth: w is not a tensor: it would execute __builtin__\.eval"
    ):
        read_torch(path)
    save(torch.nn.Linear(2, 2), path)  # a whole module instead of its weights
    with pytest.raises(
        CheckpointError, match=r"it would execute torch\.nn\.modules\.linear\.Linear"
    ):
        read_torch(path)
    for attack in (
        b"cos\nsystem\n(S'echo executed'\ntR.",
        b"c__builtin__\nexec\n(S'1'\ntR.",
        pickle.dumps(Evil()),
    ):
        path.write_bytes(attack)
        with pytest.raises(CheckpointError, match="it would execute"):
            read_torch(path)
    assert "executed" not in capsys.readouterr().out


def test_other_contents(tmp_path, save):
    path = tmp_path / "x.pth"
    for value, message in (
        ([torch.ones(2)], "it holds no tensors by name, but a list"),
        (torch.ones(2), "it holds no tensors by name, but an array"),
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
    with pytest.raises(CheckpointError, match="it is not a torch file, but a zip archive"):
        read_torch(path)


def test_a_view_beyond_its_storage_is_refused(tmp_path):
    """A crafted tensor that is larger than its storage must not read other memory."""
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


class StoredTensor:
    """A tensor that pickles as `_rebuild_tensor` of a storage, as torch did before 0.4."""

    def __init__(self, array):
        self.storage = torch.tensor(array).reshape(-1)
        self.shape, self.strides = array.shape, tuple(s // array.itemsize for s in array.strides)

    def __reduce__(self):
        return torch._utils._rebuild_tensor, (self, 0, self.shape, self.strides)


class Before04(pickle.Pickler):
    """Writes storages by a persistent identity, here that of the tensor that is reduced."""

    def __init__(self, file, storages):
        super().__init__(file, 2)
        self.storages, self.reducing = storages, set()

    def persistent_id(self, value):
        if not isinstance(value, StoredTensor) or id(value) not in self.reducing:
            if isinstance(value, StoredTensor):
                self.reducing.add(id(value))
            return None
        key = str(len(self.storages))
        self.storages[key] = value.storage
        return "storage", torch.FloatStorage, key, "cpu", value.storage.numel(), None


def test_tensors_of_before_0_4(tmp_path):
    """`_rebuild_tensor`: torchvision still serves VGG-16 like this."""
    array, storages, body = np.arange(6, dtype=np.float32).reshape(2, 3), {}, io.BytesIO()
    Before04(body, storages).dump({"w": StoredTensor(array)})
    data = b"".join(
        pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    data += body.getvalue() + pickle.dumps(list(storages), 2)
    for storage in storages.values():
        data += struct.pack("<q", storage.numel()) + storage.numpy().tobytes()
    (tmp_path / "vgg.pth").write_bytes(data)
    np.testing.assert_array_equal(read_torch(tmp_path / "vgg.pth")["w"], array)


def test_tar_files_of_before_0_1_10(tmp_path):
    """torchvision's first ResNets: storages, tensors and the pickle are files of their own."""
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    storages = pickle.dumps(1, 2) + pickle.dumps((11, "cpu", torch.FloatStorage), 2)
    storages += struct.pack("<q", 12) + array.tobytes() + pickle.dumps([(12, 11, 4, 4)], 2)
    tensors = pickle.dumps(2, 2)
    for key, storage, shape, strides, offset in (
        (21, 11, (3, 4), (4, 1), 0),
        (22, 12, (2,), (2,), 1),
    ):
        tensors += pickle.dumps((key, storage, torch.FloatTensor), 2)
        numbers = (*shape, *strides, offset)
        tensors += struct.pack(f"<ii{len(numbers)}q", len(shape), 0, *numbers)

    class Named(pickle.Pickler):
        def persistent_id(self, value):
            return value[1:] if isinstance(value, str) and value.startswith("@") else None

    body = io.BytesIO()
    Named(body, 2).dump({"w": "@21", "part": "@22"})
    path = tmp_path / "resnet.pth"
    with tarfile.open(path, "w") as archive:
        parts = {"sys_info": b"", "pickle": body.getvalue(), "tensors": tensors}
        for name, data in (parts | {"storages": storages}).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    found = read_torch(path)
    np.testing.assert_array_equal(found["w"], array)
    np.testing.assert_array_equal(found["part"], [5, 7])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("with_checksums", [True, False])
def test_zip_entries_compressed_or_without_checksum(tmp_path, compression, with_checksums):
    torch.save({"w": torch.arange(5.0)}, tmp_path / "x.pth")
    path = tmp_path / "y.pth"
    with zipfile.ZipFile(tmp_path / "x.pth") as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    if not with_checksums:
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            at = archive.start_dir
            for info in archive.infolist():
                data[info.header_offset + 14 : info.header_offset + 18] = bytes(4)
                data[at + 16 : at + 20] = bytes(4)
                at += 46 + sum(struct.unpack("<HHH", data[at + 28 : at + 34]))
        path.write_bytes(data)
    np.testing.assert_array_equal(read_torch(path)["w"], np.arange(5))


def test_anything_may_lie_beside_the_weights(tmp_path, save):
    beside = {
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(0.7),
        "path": pathlib.PurePosixPath("runs/1"),
        "device": torch.device("cpu"),
        "type": torch.float16,
        "counts": collections.defaultdict(list, a=[1]),
        "when": datetime.datetime(2026, 1, 1),
        "evil": Evil(),
    }
    save({**beside, "net": {"w": torch.ones(2)}}, tmp_path / "x.pth")
    assert list(read_torch(tmp_path / "x.pth")) == ["w"]


def test_averaged_weights_are_found_where_there_are_no_others(tmp_path, save):
    save({"state_dict_ema": {"w": torch.ones(2)}, "epoch": 1}, tmp_path / "x.pth")
    assert list(read_torch(tmp_path / "x.pth")) == ["w"]
    both = {"state_dict_ema": {"w": torch.ones(2)}, "state_dict": {"w": torch.zeros(2)}}
    save(both, tmp_path / "x.pth")
    with pytest.warns(UserWarning, match=r"x\.pth: .* under 'state_dict' are read, and not "):
        found = read_torch(tmp_path / "x.pth")
    np.testing.assert_array_equal(found["w"], [0, 0])


def test_several_sets_of_weights_are_named(tmp_path, save):
    """None has a usual name, so that which are meant is not known."""
    sets = {"best": {"w": torch.ones(2)}, "last": {"w": torch.zeros(2)}, "epoch": 3}
    save(sets, tmp_path / "x.pth")
    message = r"x\.pth: it holds tensors under 'best', 'last'; .*save\(checkpoint\['best'\]"
    with pytest.raises(CheckpointError, match=message):
        read_torch(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"PK\x03\x04" + bytes(90), "it is damaged or incomplete: it begins as a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS"),
        (b"<!DOCTYPE html>", "it is not a torch file, but a web page"),
        (b"\x89HDF\r\n\x1a\n", "it is not a torch file, but HDF5"),
        (
            b'{"weight_map": {}}',
            "it is not a torch file, but JSON, such as the index of weights in",
        ),
        (b"\x93NUMPY\x01\x00", "it is not a torch file, but an array of NumPy"),
        (b"\x89PNG\r\n", "it is not a torch file, but an image"),
        (b"", "the file is empty"),
    ],
)
def test_files_that_are_something_else(tmp_path, contents, message):
    path = tmp_path / "w.pth"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=rf"w\.pth: {message}"):
        read_torch(path)


def test_types_that_are_not_read_are_named(tmp_path, save):
    path = tmp_path / "w.pth"
    save({"w": torch.zeros(3, dtype=torch.complex64)}, path)
    message = r"a tensor is kept as 'torch\.ComplexFloatStorage', which is not read"
    with pytest.raises(CheckpointError, match=message):
        read_torch(path)
