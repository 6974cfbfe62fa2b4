"""torch's files are read without torch; files that would execute code are rejected."""

import collections
import pickle
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
        CheckpointError, match=r"evil\.pth: it would execute __builtin__\.eval, which is refused"
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
