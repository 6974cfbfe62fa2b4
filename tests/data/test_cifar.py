"""CIFAR in its three forms: the same pixels and labels from each."""

import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from minicnn import data, evaluation, models
from minicnn.data import cifar
from minicnn.data.files import File
from minicnn.errors import DataError

N = 20


@pytest.fixture
def batches():
    """Five training batches and a test batch: `{name: (images (N, 32, 32, 3), labels)}`."""
    generator = np.random.default_rng(0)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    return {
        name: (generator.integers(0, 256, (N, 32, 32, 3), np.uint8), np.arange(N) % 10)
        for name in names
    }


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def write_binary(folder, batches):
    folder.mkdir(parents=True)
    for name, (images, labels) in batches.items():
        (folder / f"{name}.bin").write_bytes(
            np.hstack([labels[:, None].astype(np.uint8), planes(images)]).tobytes()
        )


def write_python(folder, batches, protocol=2):
    folder.mkdir(parents=True)
    for name, (images, labels) in batches.items():
        contents = {
            "data": planes(images),
            "labels": [int(label) for label in labels],
            "batch_label": name,
        }
        (folder / name).write_bytes(pickle.dumps(contents, protocol=protocol))


def write_again(folder, batches):
    """As a program writes what Python 3 has read: keys of bytes, and the labels as an array."""
    folder.mkdir(parents=True)
    for protocol, (name, (images, labels)) in enumerate(batches.items()):
        contents = {b"data": planes(images), b"labels": labels}
        (folder / name).write_bytes(pickle.dumps(contents, protocol=protocol))


def write_tree(folder, batches):
    """PNG, so that the pixels come back exactly."""
    for split, names in (("train", list(batches)[:5]), ("test", ["test_batch"])):
        for number, (image, label) in enumerate(
            (i, j) for n in names for i, j in zip(*batches[n], strict=True)
        ):
            path = folder / split / cifar.CLASSES[label] / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)


def tar(folder, mode="w:gz"):
    target = folder.with_suffix(".tar.gz")
    with tarfile.open(target, mode) as archive:
        archive.add(folder, arcname="cifar-10-batches")
    return target


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "write",
    [write_binary, write_python, lambda f, b: write_python(f, b, 4), write_again, write_tree],
    ids=["bin", "py2", "py3", "again", "png"],
)
def test_forms(tmp_path, batches, write, packed):
    write(tmp_path / "cifar", batches)
    source = tar(tmp_path / "cifar") if packed else tmp_path / "cifar"
    train, test = data.load(str(source), size=32)
    assert (len(train), len(test), train.classes) == (5 * N, N, cifar.CLASSES)
    expected = np.concatenate([batches[f"data_batch_{i}"][0] for i in range(1, 6)])
    labels = np.concatenate([batches[f"data_batch_{i}"][1] for i in range(1, 6)])
    if write is write_tree:  # ordered by class and name
        order = np.argsort(labels, kind="stable")
        expected, labels = expected[order], labels[order]
    np.testing.assert_array_equal(train.images, expected)
    np.testing.assert_array_equal(train.labels, labels)
    assert set(test.labels) == set(range(10))


def test_cache(tmp_path, batches, monkeypatch):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="there is no form of cifar10 in it"):
        data.cifar10(allow_download=False)
    monkeypatch.setattr(cifar, "CIFAR10_URL", "http://127.0.0.1:9/cifar-10-binary.tar.gz")
    with pytest.raises(DataError, match="not reachable.*To work offline, put the archive"):
        data.cifar10(report=lambda line: None)
    write_binary(tmp_path / "cifar10" / "cifar-10-batches-bin", batches)
    assert len(data.cifar10(allow_download=False)[0]) == 5 * N


def test_views_are_cut_from_a_cached_tree(tmp_path, batches, monkeypatch):
    """As from the other forms: the images are 32 x 32 already."""
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    write_tree(tmp_path / "cifar10" / "images", batches)
    _, test = data.cifar10(allow_download=False)
    model = models.create("lenet5", seed=0, in_channels=3)
    found = evaluation.evaluate(model, test, evaluation.PROTOCOLS["airbench_6"])
    assert len(found.probabilities) == len(test)


def test_cifar100(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("train", "test"):
        coarse, fine, pixels = (
            generator.integers(0, 20, N),
            generator.integers(0, 100, N),
            generator.integers(0, 256, (N, 3072)),
        )
        (tmp_path / f"{name}.bin").write_bytes(
            np.column_stack([coarse, fine, pixels]).astype(np.uint8).tobytes()
        )
    train, test = data.load(str(tmp_path))
    assert len(train.classes) == 100
    np.testing.assert_array_equal(test.labels, fine)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_pickles_are_not_executed(tmp_path, batches, capsys):
    write_python(tmp_path / "c", batches)
    (tmp_path / "c" / "test_batch").write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    with pytest.raises(
        DataError, match="test_batch: it would execute .*print, which is not allowed"
    ):
        data.load(str(tmp_path / "c"))
    assert capsys.readouterr().out == ""


def test_damage(tmp_path, batches):
    write_binary(tmp_path / "b", batches)
    (tmp_path / "b" / "data_batch_3.bin").write_bytes(b"x" * 3072)
    with pytest.raises(
        DataError, match="data_batch_3.bin: 3072 bytes are not a multiple of 3073, the record size"
    ):
        data.load(str(tmp_path / "b"))
    (tmp_path / "b" / "data_batch_3.bin").unlink()
    with pytest.raises(
        DataError, match="data_batch_3.bin is missing, although the other batches are present"
    ):
        data.load(str(tmp_path / "b"))
    archive = tmp_path / "broken.tar.gz"
    write_tree(tmp_path / "t", batches)
    contents = tar(tmp_path / "t").read_bytes()
    for damaged in (contents[: len(contents) // 2], b"no tar at all"):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match="broken.tar.gz"):
            data.load(str(archive))
    (tmp_path / "t" / "train" / "cat" / "0003.png").write_bytes(b"no png")
    with pytest.raises(DataError, match=r"train/cat/0003\.png: it cannot be read as an image"):
        data.load(str(tmp_path / "t"))


def batch(pixels, labels):
    """One batch in the Python form, read."""
    contents = pickle.dumps({"data": pixels, "labels": labels}, protocol=4)
    return cifar._pickled({"batch": File(lambda: contents)}, "batch", 1)


@pytest.mark.parametrize("kind", ["<i4", ">i8", "u1"])
def test_arrays_in_any_order(kind):
    """Labels of Windows, and an array that was turned, have the order of bytes they say."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3072)).astype(np.uint8)
    images, labels = batch(np.asfortranarray(pixels), np.array([3, 1, 0, 9], kind))
    np.testing.assert_array_equal(images, batch(pixels, [3, 1, 0, 9])[0])
    assert labels.tolist() == [3, 1, 0, 9]


@pytest.mark.parametrize(
    ("count", "labels", "sentence"),
    [
        (2, [0.5, 1], "batch: a label is no whole number"),
        (2, ["0", "1"], "batch: a label is no whole number"),
        (2, np.zeros(2), "batch: it has an array of <f8; expected integers"),
        (0, np.zeros(0, np.int32), "batch: expected .N, 3072. bytes and N labels"),
    ],
)
def test_labels_that_are_none(count, labels, sentence):
    with pytest.raises(DataError, match=sentence):
        batch(np.zeros((count, 3072), np.uint8), labels)


def test_archives_hold_bytes_once(tmp_path, batches):
    """A tar file is read in a single pass."""
    write_tree(tmp_path / "t", batches)
    source = tar(tmp_path / "t")
    opened = []
    original = tarfile.open
    try:
        tarfile.open = lambda *a, **k: opened.append(a) or original(*a, **k)
        data.load(str(source), size=32)
    finally:
        tarfile.open = original
    assert len(opened) == 1
    assert io.BytesIO(source.read_bytes()).getbuffer().nbytes > 0
