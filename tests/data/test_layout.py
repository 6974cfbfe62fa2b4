"""Which class and split an image belongs to, for names that people use."""

from pathlib import Path

import pytest

from minicnn.data.files import File
from minicnn.data.layout import find_layout
from minicnn.errors import DataError


def layout(*names, table=None):
    """The layout of files with these names, and what was said of it."""
    files = {name: File(lambda: b"") for name in names}
    for name in names:
        for above in Path(name).parents:
            files.setdefault(str(above), File(bytes, is_folder=True))
    files.pop(".", None)
    if table:
        files["labels.csv"] = File(lambda: table.encode())
    said = []
    return find_layout(dict(sorted(files.items())), Path("set"), said.append), said


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train_images", "test_images"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("TRAIN ", "Test-Data"),
        ("trainset", "testset"),
        ("train", "evaluation"),
        ("x/train", "x/test/test"),
        ("train2017", "test2017"),
        ("train_256", "test1"),
        ("trainval", "test"),
    ],
)
def test_names_of_splits(train, test):
    names = [f"{split}/{label}/1.png" for split in (train, test) for label in ("cat", "dog")]
    found, said = layout(*names, "notes/1.png" if "/" not in train else f"{train}/cat/2.png")
    assert {label for label, _ in found.splits["train"]} == {"cat", "dog"}
    assert sorted(found.splits["test"]) == [("cat", names[2]), ("dog", names[3])]
    assert len(said) == ("/" not in train)  # the notes lie in no split


@pytest.mark.parametrize("name", ["train_station", "test tube", "toy train set", "valves", "data"])
def test_classes_that_sound_like_splits(name):
    found, _ = layout(f"{name}/1.png", "cat/1.png")
    assert {label for label, _ in found.splits["train"]} == {name, "cat"}


@pytest.mark.parametrize(("train", "test"), [("Cat", "cat"), ("cat", "cat "), ("a  b", "A b")])
def test_one_class_in_two_spellings(train, test):
    with pytest.raises(DataError, match=f"class '{test}' of the test images is '{train}' in train"):
        layout(f"train/{train}/1.png", "train/dog/1.png", f"test/{test}/1.png", "test/dog/1.png")
    letters = [f"{split}/{label}/1.png" for split in ("train", "test") for label in "aA"]
    assert layout(*letters)[1] == []  # two classes, in both splits


@pytest.mark.parametrize(("train", "test"), [("cat", "Cat"), ("1", "01"), ("1", "1.0")])
def test_one_class_in_two_spellings_in_a_table(train, test):
    table = f"path,label,split\n1.png,{train},train\n2.png,dog,train\n3.png,{test},test\n"
    with pytest.raises(DataError, match=f"class '{test}' of the test images is '{train}' in train"):
        layout("1.png", "2.png", "3.png", table=table)


@pytest.mark.parametrize(
    ("first", "second"), [("my_train", "my_test"), ("x_data/train", "x_data/cats-val")]
)
def test_splits_by_other_names_are_no_classes(first, second):
    names = [f"all/{split}/cat/{i}.png" for split in (first, second) for i in range(5)]
    with pytest.raises(DataError, match="would be classes, and are called like splits"):
        layout(*(name.replace("all/x_data", "train_data") for name in names))


def test_what_is_doubtful_is_said():
    _, said = layout("train/a/1.png", "training/a/1.png", "test/a/1.png", "test.zip")
    assert said[0] == "set: archives within it are left out: test.zip"
    assert said[1] == "set: the folders train, training are all taken for train images"
    _, said = layout("zoo/cat/1.png", "zoo/dog/1.png", "park/tree/1.png", "park/2.png")
    assert "set: zoo: one class each, with all the folders inside" in said


@pytest.mark.parametrize("column", ["split", "Data Set"])
def test_a_table_divides_the_images(column):
    names = [f"images/{i}.png" for i in range(6)]
    splits = ["train", "Training", "valid", "TEST", "test", "train"]
    rows = [f"{name},cat,{split}" for name, split in zip(names, splits, strict=True)]
    table = "\n".join([f"path,label,{column}", *rows])
    found = layout(*names, table=table)[0].splits
    assert {split: [path[7] for _, path in part] for split, part in found.items()} == {
        "train": ["0", "1", "5"],
        "validation": ["2"],
        "test": ["3", "4"],
    }
    found, said = layout(*names, table=table.replace("TEST", "fold 3"))
    assert f"set/labels.csv: its column {column} is not used: 'fold 3' is no split" in said
    assert len(found.splits["test"]) == 1, "every fifth"


def test_types_that_are_read_and_not_read():
    files = [f"cat/{i}.{kind}" for i, kind in enumerate(("jfif", "JPE", "apng", "pbm"))]
    found, said = layout(*files, "cat/1.npy", "dog/1.png", "ant/1", "ant/2", "LICENSE")
    assert len(found.splits["train"]) == 5
    assert said[:2] == [
        "set: 1 files of type .npy are left out: it is not read",
        "set: 2 files in ant are left out: their names do not end with a type, such as .jpg",
    ]


def test_images_that_a_table_leaves_out():
    names = [f"images/{i}.png" for i in range(4)]
    found, said = layout(*names, table="id,label\n0,cat\n1,dog\n2,dog\n")
    assert {label for label, _ in found.splits["train"]} == {"cat", "dog"}
    assert "1 images beside labeled ones are left out: no table has their label" in said[1]
    assert found.folders == set()  # `images` is no class without images
