"""Images with labels: what is accepted, and indexing."""

import numpy as np
import pytest

from minicnn import data
from minicnn.data import Dataset
from minicnn.data.dataset import across_classes, hold_out
from minicnn.errors import DataError


def test_dataset_checks():
    images, labels = np.zeros((3, 4, 4, 1), np.uint8), np.array([0, 1, 1])
    assert Dataset(images, labels).classes == ("0", "1")
    assert "3 images 4x4x1 uint8, 2 classes" in repr(Dataset(images, labels))
    for bad_images, bad_labels, message in (
        (images[..., 0], labels, r"the images are uint8 \(3, 4, 4\)"),
        (images.astype(np.int64), labels, "the images are int64"),
        (images, labels[:2], r"expected integers \(3,\)"),
        (images, labels.astype(float), "the labels are float64"),
        (images, labels - 1, "labels run from -1 to 0"),
        (images[:0], labels[:0], "there are no images"),
    ):
        with pytest.raises(DataError, match=message):
            Dataset(bad_images, bad_labels)
    with pytest.raises(DataError, match="labels run from 0 to 1; expected 0 to 0"):
        Dataset(images, labels, ("only",))
    with pytest.raises(DataError, match="expected a Dataset or a pair"):
        data.as_dataset(5)
    with pytest.raises(DataError, match=r"a pair \(images, labels\), not tuple of 3"):
        data.as_dataset((images, labels, labels))
    masked = np.ma.masked_array(labels, [True, False, False])
    for pair in ((data.as_dataset, ((images, masked),)), (Dataset, (images, masked))):
        with pytest.raises(
            DataError, match="the labels are an array of which 1 numbers are masked"
        ):
            pair[0](*pair[1])
    assert Dataset(images, [0, 1, 1], ["cat", 5]).classes == ("cat", "5")
    with pytest.raises(DataError, match=r"the images are object \(\)"):
        Dataset(None, labels)
    twins = Dataset(images, labels, ("crane", "crane"))
    assert twins.labels_of(("crane", "crane")) is labels
    with pytest.raises(DataError, match="1 classes have the name of another, such as crane"):
        twins.labels_of(("crane", "dog"))
    with pytest.raises(DataError, match="such as dog: expected different ones"):
        Dataset(images, labels, ("cat", "dog")).labels_of(("dog", "dog", "cat"))
    with pytest.raises(ValueError, match="validation share 'a': expected a fraction"):
        hold_out(twins, "a")
    assert len(data.as_dataset((images, np.ma.masked_array(labels)))) == 3, "nothing is masked"
    with pytest.raises(DataError, match="the images are no array: "):
        data.as_dataset(([images[0], images[1, :2]], labels[:2]))
    for bad_images, bad_labels, remedy in (
        (images[..., 0], labels, r"images\[..., None\]"),
        (images / 255, labels, r"images.astype\(np.float32\)"),
        (images.astype(int), labels, r"images.astype\(np.uint8\)"),
        (images, labels[:, None], r"labels\[:, 0\]"),
        (images, np.eye(3, dtype=int), r"labels.argmax\(axis=1\)"),
        (images, labels.astype(float), r"labels.astype\(np.int64\)"),
        (images, np.array(["a", "b", "a"]), r"np.unique\(labels, return_inverse=True\)"),
        (images, labels * np.nan, r"or float32 \(3, classes\)$"),
    ):
        with pytest.raises(DataError, match=remedy):
            data.as_dataset((bad_images, bad_labels))


def test_names_are_the_same_in_every_locale():
    """Under LC_ALL=C, Python has the bytes of a folder's name as lone surrogates."""
    name = "b\u00fc".encode().decode("ascii", "surrogateescape")
    found = Dataset(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, int), (name,), name=name)
    assert found.classes == (found.name,) == ("b\u00fc",)


def test_dataset_is_indexed_like_a_list():
    train, _ = data.digits(8)
    image, label = train[3]
    np.testing.assert_array_equal(image, train.images[3])
    assert (label, type(label)) == (train.labels[3], int)
    for chosen in (slice(2, 6), [2, 3, 4, 5], np.arange(2, 6)):
        part = train[chosen]
        assert isinstance(part, Dataset)
        np.testing.assert_array_equal(part.images, train.images[2:6])
        np.testing.assert_array_equal(part.labels, train.labels[2:6])
        assert (part.name, part.split, part.classes) == ("digits", "train", train.classes)
    assert len(train[train.labels == 3]) == (train.labels == 3).sum()
    with pytest.raises(IndexError):
        train[len(train)]
    assert sum(1 for _ in train[:3]) == 3
    with pytest.raises(DataError, match="digits train: there are no images"):
        train[:0]


def test_a_number_per_class():
    """Multi-label and soft labels: indexed, split and matched by name like the others."""
    images = np.zeros((4, 2, 2, 1), np.uint8)
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    data = Dataset(images, labels, ("cat", "dog", "fox"))
    np.testing.assert_array_equal(data[1][1], [1, 1, 0])
    train, held_out = hold_out(data, 0.5)
    assert (len(train), len(held_out)) == (2, 2)
    with pytest.raises(ValueError, match="seed=-1: expected an integer >= 0"):
        hold_out(data, 0.5, -1)
    matched = data.with_classes(("dog", "cow", "cat"))
    np.testing.assert_array_equal(matched.labels[1], [1, 0, 1])
    assert matched.classes == ("dog", "cow", "cat")
    with pytest.raises(DataError, match="the network has no class dog"):
        data.with_classes(("cat", "cow"))
    with pytest.raises(DataError, match=r"labels are \(4, 3\); expected \(4, 4\), a column per"):
        Dataset(images, labels, tuple("abcd"))


def test_rows_across_classes():
    """All classes in turn, whatever the order of the set; with too many, from all over the list."""
    labels = np.repeat(np.arange(4), (50, 3, 50, 50))
    assert labels[across_classes(labels, 8)].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    many = labels[across_classes(labels, 40)]
    assert np.bincount(many).tolist() == [13, 3, 12, 12]
    assert len(np.unique(across_classes(labels, 40))) == 40
    assert across_classes(np.arange(100), 5).tolist() == [0, 24, 49, 74, 99]
    assert len(across_classes(labels, 1000)) == len(labels)
    assert across_classes(np.eye(3, dtype=np.float32), 2).tolist() == [0, 2]


@pytest.mark.parametrize("labels", [np.full(2, 10**9), np.full(2, 2**63, np.uint64)])
def test_numbers_that_are_no_classes(labels):
    """A name for each number up to these would fill the memory."""
    with pytest.raises(DataError, match=r"labels run up to \d+; expected numbers of classes"):
        Dataset(np.zeros((2, 4, 4, 1), np.uint8), labels)
