"""Class folders and archives of images."""

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import folders


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def test_one_level_of_class_folders(tmp_path):
    """Every fifth image is for testing, small classes are in both sets, all become RGB."""
    for i in range(10):
        save(tmp_path / "many" / f"{i}.png", Image.new("L", (50, 40), i))
    save(tmp_path / "few" / "gray.jpg", Image.new("L", (40, 60), 100))
    save(tmp_path / "few" / "cmyk.jpg", Image.new("CMYK", (60, 40), (0, 0, 0, 0)))
    save(tmp_path / "few" / "palette.png", Image.new("P", (40, 40), 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees", which the benchmarks ignore
    turned = np.zeros((40, 80, 3), np.uint8)
    turned[:, 40:] = 255
    save(tmp_path / "few" / "turned.jpg", Image.fromarray(turned), exif=exif, quality=95)
    said = []
    train, test = data.load(str(tmp_path), size=32, report=said.append)
    assert train.classes == ("few", "many")
    assert train.images.shape == (12, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(train.labels), [4, 8])
    np.testing.assert_array_equal(np.bincount(test.labels), [4, 2])
    turned = train.images[3]
    assert turned[16, 2, 0] < 50 < 200 < turned[16, -3, 0], "left is dark, right is bright"


def test_large_sets_are_decoded_batch_by_batch(tmp_path, monkeypatch):
    for split in ("train", "val"):
        for i in range(6):
            save(tmp_path / split / "ab"[i % 2] / f"{i}.png", Image.new("RGB", (20, 30), (i, 0, 0)))
    small, _ = data.load(str(tmp_path), size=16)
    monkeypatch.setattr(folders, "IN_MEMORY", 0)
    large, _ = data.load(str(tmp_path), size=16)
    assert isinstance(large.images, folders.ImageFiles)
    np.testing.assert_array_equal(large.images[np.array([5, 0])], small.images[[5, 0]])
    np.testing.assert_array_equal(large.images[2], small.images[2])
    loader = data.Loader(large.subset(slice(1, 5)), 3, data.Preprocess(size=(16, 16), channels=3))
    assert [x.shape for x, _ in loader] == [(3, 16, 16, 3), (1, 16, 16, 3)]


def test_real_cifar10():
    source = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    files = folders.listing(source)
    assert sum(path.endswith(".jpg") for path in files) == 60_000
    assert folders.decode("one", files["train/cat/0000.jpg"].read, 32).shape == (32, 32, 3)


def test_real_imagenet_sample():
    source = data.cache_folder() / "imagenet-sample"
    if not source.is_dir():
        pytest.skip(f"{source} is not on this machine")
    train, test = data.load(str(source), size=64, report=lambda line: None)
    assert train.images.shape == test.images.shape == (63, 64, 64, 3)
    assert train.classes[0] == "n01440764"
