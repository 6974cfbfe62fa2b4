"""IDX files: read exactly, or rejected with a sentence that names the file."""

import gzip
import shutil
import struct

import numpy as np
import pytest

from minicnn import data
from minicnn.data import idx
from minicnn.errors import DataError


def idx_bytes(array):
    return (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def write_set(folder, n=20, compress=True, seed=0):
    """A small data set in MNIST's four files."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for names in idx.FILES.values():
        for name, array in zip(
            names, (generator.integers(0, 256, (n, 5, 4)), np.arange(n) % 3), strict=True
        ):
            raw = idx_bytes(array)
            path = folder / (name + ".gz" * compress)
            path.write_bytes(gzip.compress(raw, mtime=0) if compress else raw)
    return folder


@pytest.mark.parametrize("compress", [True, False])
def test_folder_of_idx_files(tmp_path, compress):
    train, test = data.load(str(write_set(tmp_path / "mine", compress=compress)))
    assert train.images.shape == (20, 5, 4, 1)
    assert train.images.dtype == np.uint8
    np.testing.assert_array_equal(train.labels, np.arange(20) % 3)
    assert (train.name, train.split, test.split, train.classes) == (
        "mine",
        "train",
        "test",
        ("0", "1", "2"),
    )


GOOD = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "0 bytes are too few"),
        (b"\0\0\x08", "3 bytes are too few"),
        (b"\x89PNG" + GOOD[4:], "the magic number is 0x89504e47; expected 0x00000803"),
        (b"\0\0\x0d\x03" + GOOD[4:], "the magic number is 0x00000d03"),
        (b"\0\0\x08\x01" + GOOD[4:], "the magic number is 0x00000801"),
        (GOOD[:9], "the file ends inside its header, at byte 9"),
        (GOOD[:-1], "is cut short: 23 bytes of values, the header says 24"),
        (GOOD + b"\0", "has trailing bytes: 25 bytes"),
        (
            b"\0\0\x08\x03" + b"\xff" * 12 + GOOD[16:],
            "says 4294967295 x 4294967295 x 4294967295 values, which cannot be right",
        ),
        (b"\0\0\x08\x03" + b"\0" * 12, "says 0 x 0 x 0 values"),
    ],
)
def test_deviations(contents, message):
    with pytest.raises(DataError, match=f"some/file: .*{message}"):
        idx.parse(contents, 3, "some/file")


def test_damaged_gzip(tmp_path):
    path = tmp_path / "file.gz"
    packed = gzip.compress(GOOD)
    for contents in (
        packed[:-5],
        packed[:15],
        packed[:20] + b"\xff" + packed[21:],
    ):
        path.write_bytes(contents)
        with pytest.raises(DataError, match="file.gz"):
            idx.read_bytes(path)
    with pytest.raises(DataError, match="No such file"):
        idx.read_bytes(tmp_path / "missing.gz")
    for name, contents in (("plain.gz", GOOD), ("packed", packed)):  # as browsers leave them
        (tmp_path / name).write_bytes(contents)
        assert idx.read_bytes(tmp_path / name) == GOOD


def test_numbers_must_agree(tmp_path):
    folder = write_set(tmp_path)
    labels = folder / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(19))))
    with pytest.raises(DataError, match="20 images but 19 labels"):
        data.load(str(folder))
    labels.unlink()
    with pytest.raises(DataError, match="the train labels are missing beside t10k-images"):
        data.load(str(folder))
    with pytest.raises(
        DataError,
        match="'nothing/here' is neither a data set nor a folder or archive that exists; the data "
        "sets are mnist, fashion_mnist, cifar10, cifar100, digits, imagenet$",
    ):
        data.load("nothing/here")
    with pytest.raises(DataError, match="did you mean cifar10, cifar100$"):
        data.load("CIFAR-10")
    for name in ("", "x" * 5000):
        with pytest.raises(DataError, match="^'x*' is neither a data set"):
            data.load(name)
    with pytest.raises(ValueError, match="^skip_broken='no': expected True or False$"):
        data.load("digits", skip_broken="no")
    np.savez(tmp_path / "mnist.npz", x=np.zeros(3))
    with pytest.raises(DataError, match=r"mnist\.npz: arrays are trained with in Python"):
        data.load(str(tmp_path / "mnist.npz"))


@pytest.mark.parametrize(
    "pattern",
    [
        *("{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte", "my-{}-{}-idx{}-ubyte"),
        *("{}_{}_idx{}_ubyte", "{}-{}-idx{}-ubyte (1)", "{}-{}-idx{}-ubyte.txt"),
        *("MNIST/raw/{}-{}-idx{}-ubyte", "{0}-{1}-idx{2}-ubyte/{0}-{1}-idx{2}-ubyte"),
    ],
)
def test_usual_names(tmp_path, pattern):
    """Dots or dashes, a prefix; labels that start at 1 are classes called by their numbers."""
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 4))
    for split in ("train", "test" if pattern.startswith("my") else "t10k"):
        for kind, rank, values in (("images", 3, images), ("labels", 1, 1 + np.arange(6))):
            path = tmp_path / "set" / pattern.format(split, kind, rank)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(idx_bytes(values))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set")
    np.testing.assert_array_equal(data.load(archive)[0].labels, np.arange(6))
    train, test = data.load(str(tmp_path / "set"), report=lambda line: None)
    assert train.classes == test.classes == ("1", "2", "3", "4", "5", "6")
    np.testing.assert_array_equal(train.labels, np.arange(6))
    np.testing.assert_array_equal(train.images[..., 0], images)


def test_emnist_is_turned_upright(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 5))
    for split in ("train", "test"):
        for kind, rank, values in (("images", 3, images), ("labels", 1, np.arange(6))):
            name = f"emnist-digits-{split}-{kind}-idx{rank}-ubyte"
            (tmp_path / name).write_bytes(idx_bytes(values))
    said = []
    train, _ = data.load(str(tmp_path), report=said.append)
    np.testing.assert_array_equal(train.images[..., 0], images.transpose(0, 2, 1))
    assert "lie on their side, and are turned upright" in said[0]
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(DataError, match="holds the IDX files of several sets"):
        data.load(str(tmp_path))
