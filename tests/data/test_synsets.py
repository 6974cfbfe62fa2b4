"""The classes of ImageNet: two orders of one thousand synsets."""

import numpy as np
import pytest

from minicnn import data
from minicnn.data import synsets
from minicnn.errors import DataError


def test_the_order_is_that_of_torchvision_and_caffe():
    found = synsets.synsets()
    wnids = [synset.wnid for synset in found]
    assert len(found) == synsets.COUNT and wnids == sorted(set(wnids))
    assert len(set(synsets.names())) == synsets.COUNT
    for label, wnid, name in (
        (0, "n01440764", "tench"),
        (65, "n01751748", "sea snake"),
        (134, "n02012849", "crane bird"),
        (281, "n02123045", "tabby"),
        (517, "n03126707", "crane"),
        (999, "n15075141", "toilet tissue"),
    ):
        assert (found[label].wnid, found[label].name) == (wnid, name)


def test_the_devkits_ids_are_another_order():
    """The first ten validation images as the devkit labels them, and as Caffe's val.txt does."""
    ids = [synset.devkit_id for synset in synsets.synsets()]
    assert sorted(ids) == list(range(1, 1001))
    devkit = [490, 361, 171, 822, 297, 482, 13, 704, 599, 164]
    assert [ids.index(i) for i in devkit] == [65, 970, 230, 809, 516, 57, 334, 415, 674, 332]


def test_wordnet_ids_match_names():
    assert synsets.readable(("n01440764", "my cat")) == ("tench", "my cat")
    images = np.zeros((2, 4, 4, 3), np.uint8)
    by_wnid = data.Dataset(images, np.array([1, 0]), ("n01440764", "n02123045"))
    np.testing.assert_array_equal(by_wnid.labels_of(synsets.names()), [281, 0])
    by_name = data.Dataset(images, np.array([1, 0]), ("tench", "tabby"))
    np.testing.assert_array_equal(by_name.labels_of(("n02123045", "x", "n01440764")), [0, 2])
    with pytest.raises(DataError, match="the network has no class tench"):
        by_name.labels_of(("n02123045", "n02123159"))
