"""Tables of labels beside images."""

from pathlib import Path

import pytest

from minicnn.data import labels
from minicnn.data.files import File
from minicnn.errors import DataError

IMAGES = ["train/1.png", "train/2.png", "val/images/v_0.JPEG", "val/images/v_1.JPEG"]


def read(table, text, images=IMAGES):
    """The labels, what was said, and which images have none."""
    files = {name: File(lambda: b"") for name in images}
    files[table] = File(lambda: text if isinstance(text, bytes) else text.encode())
    said = []
    found, unlabeled, _ = labels.read(files, Path("set"), images, said.append)
    return found, said, unlabeled


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("labels.csv", "train/1.png,frog\ntrain/2.png,toad\n"),
        ("labels.csv", "path,label\ntrain/1.png,frog\ntrain/2.png,toad\n"),
        ("train/labels.csv", "\ufeffid,label\r\n1,frog\r\n2,toad\r\n"),
        ("trainLabels.csv", "breed;x;id\nfrog;0;1\ntoad;0;2\n"),
        ("a.csv", "path|label\r./train/1.png|frog\rtrain\\2.png|toad\r"),
        ("train/a.csv", 'label, path\n"frog", "1.PNG"\n"toad", "../train/2.png"\n'),
        ("a.csv", "path,label\n/home/me/train/1.png,frog\nC:\\me\\train\\2.png,toad\n"),
        ("a.csv", "class id,filepaths,labels\n7,train/1.png,frog\n8,train/2.png,toad\n"),
        ("a.csv", ",image,y,class\n0,train/1.jpg,0,frog\n1,train/2.jpg,0,toad\n"),
        ("a.csv", "path,label\ntrain/1.png,frog\ntrain/2.png,toad\n".encode("utf-16")),
        ("a.csv", "\n \r\npath,label\n\ntrain/1.png,frog\ntrain/2.png,toad\n"),
        (
            "a.csv",
            "# ours, May\n\n# again\npath,label\ntrain/1.png,frog\ntrain/2.png,toad\n",
        ),
        ("a.csv", "#path,label\ntrain/1.png,frog\ntrain/2.png,toad\n"),
        ("a.tsv", "\tpath\tlabel\n0\ttrain/1.png\tfrog\n1\ttrain/2.png\ttoad\n"),
        ("labels.tsv", "file\tclass\n1.png\tfrog\n2.png\ttoad\n"),
    ],
)
def test_forms(table, text):
    found, said, unlabeled = read(table, text)
    assert found == {"train/1.png": "frog", "train/2.png": "toad"}
    assert said == [f"set/{table}: the labels of 2 images are from this table"]
    assert unlabeled == set()


def test_an_image_whose_name_begins_like_a_comment():
    found, _, _ = read("a.csv", "#1.png,frog\n#2.png,toad\n", ["#1.png", "#2.png"])
    assert found == {"#1.png": "frog", "#2.png": "toad"}


def test_tiny_imagenet():
    found, _, _ = read("val/val_annotations.txt", "v_0.JPEG\tn1\t0\t32\nv_1.JPEG\tn2\t0\t44\n")
    assert found == {"val/images/v_0.JPEG": "n1", "val/images/v_1.JPEG": "n2"}


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("history.csv", "epoch,loss\n1,0.5\n2,0.25\n", ""),
        ("sample_submission.csv", "id,label\n1,cat\n2,cat\n", ""),
        ("metadata.csv", "image,date,camera\n1.png,2020,x\n2.png,2021,y\n", "columns has labels"),
        ("onehot.csv", "image,MEL,NV\n1,0.0,1.0\n2,1.0,0.0\n", "none of its columns has labels"),
        ("numbered.csv", "1,1.png,cat\n2,2.png,dog\n", "none of its columns has labels"),
        ("stale.csv", "path,label\na.png,cat\nb.png,cat\n", "none of the images that it names"),
        ("elsewhere.csv", "path,label\n/old/test/1.png,cat\n", "none of the images that it na"),
        ("empty.csv", "", ""),
    ],
)
def test_tables_of_something_else(table, text, said):
    images = ["1.png", "2.png"] if table not in ("history.csv", "elsewhere.csv") else IMAGES
    found, lines, unlabeled = read(table, text, images)
    assert (found, unlabeled, len(lines)) == ({}, set(), bool(said))
    assert said in "".join(lines)


def test_the_table_of_a_split_is_about_its_images():
    """Kaggle's test images have the names of training images, and no labels."""
    images = ["train/1.png", "train/2.png", "test/1.png", "test/2.png"]
    for table in ("train.csv", "train_labels.csv", "trainLabels.csv"):
        found, _, unlabeled = read(table, "id,label\n1,frog\n2,toad\n", images)
        assert found == {"train/1.png": "frog", "train/2.png": "toad"}
        assert unlabeled == set()
    assert read("labels.csv", "id,label\n1,frog\n2,toad\n", images)[0] == {}


def test_images_beside_labeled_ones():
    found, _, unlabeled = read("a.csv", "id,label\n1,cat\n", ["x/1.png", "x/2.png", "dog/3.png"])
    assert found == {"x/1.png": "cat"}
    assert unlabeled == {"x/2.png"}


def test_the_names_of_tables_divide_the_images():
    files = {name: File(lambda: b"") for name in ("images/1.png", "images/2.png")}
    files["train.csv"] = File(lambda: b"path,label\nimages/1.png,frog\n")
    files["val.csv"] = File(lambda: b"path,label\nimages/2.png,toad\n")
    found = labels.read(files, Path("set"), list(files)[:2], lambda text: None)
    assert found.splits == {"images/1.png": "train", "images/2.png": "validation"}
    files["val.csv"] = File(lambda: b"path,label\nimages/1.png,frog\n")
    with pytest.raises(DataError, match=r"images/1.png is for validation, elsewhere train"):
        labels.read(files, Path("set"), list(files)[:2], lambda text: None)


def test_a_separator_at_the_end_of_rows_is_no_cell():
    with_it = read("labels.csv", "id,label\n1,cat,\n2,dog,,\n")
    assert with_it == read("labels.csv", "id,label\n1,cat\n2,dog\n")


def test_faults():
    with pytest.raises(DataError, match=r"labels\.csv: there is no image 7, which it labels cat"):
        read("labels.csv", "id,label\n1,cat\n7,cat\n")
    with pytest.raises(DataError, match="1 is labeled dog, elsewhere cat"):
        read("labels.csv", "id,label\n1,cat\n1,dog\n")
    with pytest.raises(DataError, match="it is not text in UTF-8"):
        read("labels.csv", b"\xff\xfe1,cat")
    with pytest.raises(DataError, match=r"labels\.csv: 2 has no label"):
        read("labels.csv", "id,label\n1,cat\n2,\n")
    with pytest.raises(DataError, match=r"labels\.csv: 2 has no label"):
        read("labels.csv", "id,label\n1,cat\n2\n")
    with pytest.raises(DataError, match="the row of 2 has 3 cells, the first row 2: put a label"):
        read("labels.csv", "id,label\n1,cat\n2,crane, a bird\n")
    for text in ('id,label\n1,"cat\n2,dog\n', f"id,label\n1,{'c' * 200_000}\n"):
        with pytest.raises(DataError, match=r"labels\.csv: it is damaged, or no table"):
            read("labels.csv", text)
