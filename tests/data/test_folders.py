"""Class folders and archives of images."""

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import ImageFiles
from minicnn.data.files import listing
from minicnn.errors import DataError


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def test_one_level_of_class_folders(tmp_path):
    """Every fifth image is for testing, small classes are in both sets, all become RGB.

    What is doubtful is reported, and a photograph that was taken lying is turned upright.
    """
    for i in range(10):
        save(tmp_path / "many" / f"{i}.png", Image.new("L", (50, 40), i))
    save(tmp_path / "few" / "gray.jpg", Image.new("L", (40, 60), 100))
    save(tmp_path / "few" / "cmyk.jpg", Image.new("CMYK", (60, 40), (0, 0, 0, 0)))
    save(tmp_path / "few" / "palette.png", Image.new("P", (40, 40), 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
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
    assert turned[2, 16, 0] < 50 < 200 < turned[-3, 16, 0], "the top is dark, the bottom bright"
    assert said == [f"{tmp_path}: few: fewer than 5 images, used in both sets"]


def test_large_sets_are_decoded_batch_by_batch(tmp_path):
    for split in ("train", "val"):
        for i in range(6):
            save(tmp_path / split / "ab"[i % 2] / f"{i}.png", Image.new("RGB", (20, 30), (i, 0, 0)))
    small, _ = data.load(str(tmp_path), size=16)
    large, _ = data.load(str(tmp_path), size=16, memory=0)
    assert isinstance(large.images, ImageFiles)
    np.testing.assert_array_equal(large.images[np.array([5, 0])], small.images[[5, 0]])
    np.testing.assert_array_equal(large.images[2], small.images[2])
    loader = data.Loader(large.subset(slice(1, 5)), 3, data.Preprocess(size=(16, 16), channels=3))
    assert [x.shape for x, _ in loader] == [(3, 16, 16, 3), (1, 16, 16, 3)]


def test_training_images_can_stay_originals(tmp_path):
    """Also those that are held out of them are no originals: they are not trained with."""
    tree(tmp_path, *(f"{s}/{c}/{i}.png" for s in ("train", "test") for c in "ab" for i in range(5)))
    splits, _ = loaded(tmp_path, originals=True, validation=0.2)
    kinds = [isinstance(part.images, ImageFiles) for part in splits]
    assert kinds == [True, False, False]
    assert [len(part) for part in splits] == [8, 10, 2]
    plain, _ = loaded(tmp_path, validation=0.2)
    np.testing.assert_array_equal(splits.train.images[np.arange(8)], plain.train.images)
    np.testing.assert_array_equal(splits.validation.images, plain.validation.images)


def test_real_cifar10():
    source = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    files = listing(source)
    assert sum(path.endswith(".jpg") for path in files) == 60_000
    pixels = data.Decode((32, 32))("one", files["train/cat/0000.jpg"].read())
    assert pixels.shape == (32, 32, 3)


def test_real_imagenet_sample():
    source = data.cache_folder() / "imagenet-sample"
    if not source.is_dir():
        pytest.skip(f"{source} is not on this machine")
    train, test = data.load(str(source), size=64, report=lambda line: None)
    assert train.images.shape == test.images.shape == (63, 64, 64, 3)
    assert train.classes[:2] == ("n01440764", "n01560419") and train.names_known


def test_photographs_of_wordnet_ids_are_not_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # to be turned upside down
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255
    for wnid in ("n02012849", "n01440764", "n03126707"):
        save(tmp_path / wnid / "a.jpg", Image.fromarray(pixels), exif=exif, quality=95)
    train, _ = data.load(str(tmp_path), size=16, report=lambda line: None)
    assert train.classes == ("n01440764", "n02012849", "n03126707")
    assert train.decode is not None and not train.decode.orient
    assert train.images[0, 2].min() > 200
    save(tmp_path / "my_cat" / "a.jpg", Image.fromarray(pixels), exif=exif, quality=95)
    train, _ = data.load(str(tmp_path), size=16, report=lambda line: None)
    assert train.classes == ("my_cat", "n01440764", "n02012849", "n03126707")
    assert train.images[0, 2].max() < 50, "own photographs are turned upright"


def tree(root, *paths, color=(9, 9, 9)):
    for path in paths:
        save(root / path, Image.new("RGB", (12, 12), color))


def loaded(root, **options):
    """The sets, and what was reported, without the folder's name."""
    said = []
    splits = data.load_splits(str(root), 12, said.append, **options)
    return splits, [line.replace(f"{root}", "ROOT") for line in said]


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "testing"), ("train", "valid")])
def test_usual_names_of_splits(tmp_path, names):
    tree(tmp_path, *(f"{split}/{c}/{i}.png" for split in names for c in "ab" for i in range(3)))
    splits, said = loaded(tmp_path)
    assert (len(splits.train), len(splits.test), splits.validation) == (6, 6, None)
    assert said == []


def test_validation_images_stay_apart(tmp_path):
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        tree(tmp_path, *(f"{split}/{c}/{i}.png" for c in "ab" for i in range(count)))
    splits, said = loaded(tmp_path)
    assert [len(part) for part in splits] == [10, 6, 4]
    assert splits.validation.classes == ("a", "b")
    assert said == []
    with pytest.raises(DataError, match="has validation images of its own"):
        loaded(tmp_path, validation=0.1)


def test_a_share_of_each_class_is_held_out(tmp_path):
    tree(tmp_path, *(f"train/a/{i}.png" for i in range(20)), "test/a/0.png", "test/b/0.png")
    tree(tmp_path, *(f"train/b/{i}.png" for i in range(10)))
    splits, _ = loaded(tmp_path, validation=0.2, seed=1)
    np.testing.assert_array_equal(np.bincount(splits.validation.labels), [4, 2])
    assert len(splits.train) == 24
    again, _ = loaded(tmp_path, validation=0.2, seed=1)
    np.testing.assert_array_equal(again.train.images, splits.train.images)
    tree(tmp_path, *(f"train/c/{i}.png" for i in range(2)))
    _, said = loaded(tmp_path, validation=0.2)
    assert said[-1] == "ROOT: c: too few images to hold out 0.2 of them"
    with pytest.raises(ValueError, match="validation share 1.5: expected a fraction"):
        loaded(tmp_path, validation=1.5)


def test_the_class_is_the_folder_below_the_split(tmp_path):
    """Tiny ImageNet's form; its validation and test images have no class folders."""
    tree(tmp_path, *(f"tiny/train/{w}/images/{w}_{i}.JPEG" for w in ("n1", "n2") for i in range(3)))
    tree(tmp_path, *(f"tiny/{split}/images/{i}.JPEG" for split in ("val", "test") for i in (1, 2)))
    splits, said = loaded(tmp_path)
    assert splits.train.classes == ("n1", "n2")
    assert len(splits.train) == 6
    assert said == [
        "ROOT: the images in validation are left out: images is no class of the training images",
        "ROOT: the images in test are left out: images is no class of the training images",
        "ROOT has no test images: every fifth training image of a class becomes one",
        "ROOT: n1, n2: fewer than 5 images, used in both sets",
    ]


def test_training_images_only_are_divided(tmp_path):
    """No network is tested on what it was trained with, if there are enough images."""
    for i in range(10):
        tree(tmp_path, *(f"train/{label}/{i}.png" for label in "ab"), color=(i, i, i))
    splits, said = loaded(tmp_path)
    assert splits.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8] * 2
    assert splits.test.images[:, 0, 0, 0].tolist() == [4, 9] * 2
    assert said == ["ROOT has no test images: every fifth training image of a class becomes one"]


def test_images_without_a_class_are_refused_by_name(tmp_path):
    tree(tmp_path, *(f"train/cat.{i}.jpg" for i in range(4)), "test1/1.jpg")
    with pytest.raises(DataError, match=r"train/cat\.0\.jpg lies directly in train"):
        loaded(tmp_path)
    tree(tmp_path / "flat", "1.jpg", "2.jpg")
    with pytest.raises(DataError, match="expected images in class folders, such as train/cat/1.jp"):
        loaded(tmp_path / "flat")


def test_a_table_takes_the_place_of_class_folders(tmp_path):
    tree(tmp_path, *(f"train/{i}.png" for i in range(4)), *(f"test/{i}.png" for i in range(2)))
    (tmp_path / "train" / "labels.csv").write_text("id,breed\n0,pug\n1,corgi\n2,pug\n3,corgi\n")
    (tmp_path / "test.csv").write_text("test/0.png,pug\ntest/1.png,corgi\n")
    splits, said = loaded(tmp_path)
    assert splits.train.classes == ("corgi", "pug")
    np.testing.assert_array_equal(splits.train.labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(splits.test.labels, [0, 1])
    assert len(said) == 2


def test_classes_that_are_empty_or_in_one_split_are_reported(tmp_path):
    tree(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png")
    (tmp_path / "train" / "empty").mkdir()
    splits, said = loaded(tmp_path)
    assert splits.train.classes == splits.test.classes == ("a", "b", "c")
    assert said == [
        "ROOT: empty: no images, and therefore no class",
        "ROOT: c: no train images",
        "ROOT: b: no test images",
    ]


def test_a_path_is_a_source_like_text(tmp_path):
    """It is saved with the weights, as text."""
    tree(tmp_path, *(f"{split}/{label}/1.png" for split in ("train", "test") for label in "ab"))
    train, _ = data.load(tmp_path, 8)
    assert train.source == str(tmp_path)
    with pytest.raises(DataError, match="None: expected the name of a data set, a folder or an"):
        data.load(None)
    with pytest.raises(DataError, match="nothing' is neither a data set nor a folder"):
        data.load(tmp_path / "nothing")


def test_numbers_as_classes_are_in_the_order_of_text(tmp_path):
    tree(tmp_path, *(f"{split}/{i}/1.png" for split in ("train", "test") for i in (0, 1, 2, 10)))
    splits, said = loaded(tmp_path)
    assert splits.train.classes == ("0", "1", "10", "2")
    assert said == ["ROOT: the classes are in the order of text: output 2 is class 10"]


def test_a_single_class_is_worth_a_warning(tmp_path):
    tree(tmp_path, "train/only/1.png", "val/only/2.png")
    assert "one class only, only: nothing to tell apart" in loaded(tmp_path)[1][0]


def test_a_set_within_itself_is_counted_once(tmp_path):
    for root in (".", "copy"):
        tree(tmp_path / root, *(f"{s}/{c}/1.png" for s in ("train", "test") for c in "ab"))
    splits, said = loaded(tmp_path)
    assert len(splits.train) == 2
    assert said == ["ROOT: copy holds a set of its own, with 4 images: it is left out"]
    tree(tmp_path / "two", *(f"{r}/train/{c}/1.png" for r in ("x", "y") for c in "ab"))
    with pytest.raises(DataError, match="holds several sets: x, y; give the folder of one"):
        loaded(tmp_path / "two")


def test_files_that_are_not_read_are_counted(tmp_path):
    tree(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png")
    (tmp_path / "train" / "a" / "2.heic").write_bytes(b"x")
    tree(tmp_path, "preview/1.png")
    assert loaded(tmp_path)[1] == [
        "ROOT: 1 files of type .heic are left out: it is not read",
        "ROOT: 1 images that lie in none of its splits are left out",
    ]


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_broken_files_can_be_left_out(tmp_path, memory):
    tree(
        tmp_path,
        *(f"{split}/{c}/{i}.png" for split in ("train", "val") for c in "ab" for i in "12"),
    )
    (tmp_path / "train" / "a" / "1.png").write_bytes(b"broken")
    splits, said = loaded(tmp_path, skip_broken=True, memory=memory)
    np.testing.assert_array_equal(splits.train.labels, [0, 1, 1])
    assert splits.train.images[np.arange(3)].shape == (3, 12, 12, 3)
    assert "1 broken images are left out, such as ROOT/train/a/1.png: it cannot be" in said[0]
    if memory:
        with pytest.raises(DataError, match=r"train/a/1\.png: it cannot be read as an image"):
            loaded(tmp_path)


def test_classes_that_are_spelled_alike_are_reported(tmp_path):
    """In one split both may be meant, as two letters are; across splits it is an error."""
    for i, label in enumerate(["Cat", "cat", "01", "1.0", "a", "A", "10"]):
        save(tmp_path / label / f"{i}.png", Image.new("L", (8, 8), i))
    said = []
    data.load_splits(tmp_path, size=(8, 8), report=said.append)
    (doubt,) = [line for line in said if line.startswith("warning")]
    assert doubt.endswith("one in several spellings: '01' and '1.0', 'Cat' and 'cat'")
