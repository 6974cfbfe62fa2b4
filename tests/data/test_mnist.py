"""MNIST: downloaded once, checked, and read from files put there by hand."""

import gzip
import hashlib
import importlib

import numpy as np
import pytest

from minicnn import data
from minicnn.data import idx
from minicnn.errors import DataError

from ..damage import CASES, outcomes
from .test_idx import idx_bytes

mnist = importlib.import_module("minicnn.data.mnist")  # `minicnn.data.mnist` itself is the function


@pytest.fixture
def mirrors(server, tmp_path, monkeypatch):
    """A little MNIST on the server, with its checksums, and an empty cache."""
    generator = np.random.default_rng(0)
    sums = {}
    for names in idx.FILES.values():
        for name, array in zip(
            names, (generator.integers(0, 256, (30, 28, 28)), np.arange(30) % 10), strict=True
        ):
            raw = idx_bytes(array)
            server.files[f"{name}.gz"] = gzip.compress(raw, mtime=0)
            sums[name] = (
                hashlib.sha256(server.files[f"{name}.gz"]).hexdigest(),
                hashlib.sha256(raw).hexdigest(),
            )
    monkeypatch.setattr(mnist, "MNIST", sums)
    monkeypatch.setattr(mnist, "MNIST_MIRRORS", (server.url + "first/", server.url))
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    return server


def test_mnist_is_fetched_once(mirrors, tmp_path):
    said = []
    train, test = data.mnist(report=said.append)
    assert (len(train), len(test)) == (30, 30)
    assert sorted(p.name for p in (tmp_path / "mnist").iterdir()) == sorted(mirrors.files)
    assert any("downloading train-images-idx3-ubyte.gz" in line for line in said)
    asked = len(mirrors.asked)
    data.mnist(report=said.append)
    assert len(mirrors.asked) == asked


def test_damaged_cache_is_reported_and_fetched_again(mirrors, tmp_path):
    data.mnist(report=lambda line: None)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    for damage in (path.read_bytes()[:-100], b"", gzip.compress(idx_bytes(np.zeros((30, 28, 28))))):
        path.write_bytes(damage)
        said = []
        train, _ = data.mnist(report=said.append)
        assert len(train) == 30
        assert "train-images-idx3-ubyte.gz" in said[0]
        assert "downloading it again" in said[0]


def test_files_put_there_by_hand_need_no_network(mirrors, tmp_path):
    """Plain files, or gzipped by another program, are recognized by their contents."""
    (tmp_path / "mnist").mkdir()
    for name, packed in mirrors.files.items():
        raw = gzip.decompress(packed)
        plain = name.removesuffix(".gz")
        if "images" in name:
            (tmp_path / "mnist" / plain).write_bytes(raw)
        else:
            (tmp_path / "mnist" / name).write_bytes(gzip.compress(raw, 1))
    assert len(data.mnist(allow_download=False)[0]) == 30
    assert mirrors.asked == []


def test_without_network_the_sentence_says_where_to_put_the_file(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(
        DataError,
        match="could not be downloaded .*To work offline, put the file into .*mnist yourself",
    ):
        data.mnist(report=lambda line: None)
    with pytest.raises(DataError, match="train-images-idx3-ubyte does not exist"):
        data.mnist(allow_download=False)


def test_fashion_mnist_uses_its_own_files(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "FASHION_MNIST", mnist.MNIST)
    monkeypatch.setattr(mnist, "FASHION_MIRRORS", mnist.MNIST_MIRRORS)
    train, _ = data.fashion_mnist(report=lambda line: None)
    assert train.classes[9] == "ankle boot"
    assert (tmp_path / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").exists()


def test_real_mnist(mnist):
    train, test = mnist
    assert train.images.shape == (60_000, 28, 28, 1)
    assert test.images.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(
        np.bincount(train.labels), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    )
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert (train.images / np.float32(255)).std() == pytest.approx(0.3081, abs=5e-5)


def test_idx(tmp_path):
    """The checksum is that of the contents: a flipped pixel of a plain file is found, too."""
    for suffix, packing in ((".gz", gzip.compress), ("", bytes)):
        images = np.random.default_rng(1).integers(0, 256, (40, 28, 28))
        contents = packing(idx_bytes(images))
        checksums = (
            hashlib.sha256(contents).hexdigest(),
            hashlib.sha256(idx_bytes(images)).hexdigest(),
        )
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"

        def read(path, checksums=checksums):
            return [data.idx.parse(mnist._verified(path, checksums), 3, path)]

        assert outcomes(path, contents, read, [images], DataError) > 0.9 * CASES
