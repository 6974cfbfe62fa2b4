"""Tables of labels beside images."""

from pathlib import Path

import pytest

from minicnn.data import labels
from minicnn.data.files import File
from minicnn.errors import DataError

IMAGES = ["train/1.png", "train/2.png", "val/images/v_0.JPEG", "val/images/v_1.JPEG"]


def read(table, text, images=IMAGES):
    files = {name: File(lambda: b"") for name in images}
    files[table] = File(lambda: text if isinstance(text, bytes) else text.encode())
    said = []
    return labels.read(files, Path("set"), images, said.append), said


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("labels.csv", "train/1.png,frog\ntrain/2.png,toad\n"),
        ("labels.csv", "path,label\ntrain/1.png,frog\ntrain/2.png,toad\n"),
        ("train/labels.csv", "\ufeffid,label\r\n1,frog\r\n2,toad\r\n"),
        ("trainLabels.csv", "breed;x;id\nfrog;0;1\ntoad;0;2\n"),
        ("labels.tsv", "file\tclass\n1.png\tfrog\n2.png\ttoad\n"),
    ],
)
def test_forms(table, text):
    found, said = read(table, text)
    assert found == {"train/1.png": "frog", "train/2.png": "toad"}
    assert said == [f"set/{table}: the labels of 2 images are from this table"]


def test_tiny_imagenet():
    found, _ = read("val/val_annotations.txt", "v_0.JPEG\tn1\t0\t32\nv_1.JPEG\tn2\t0\t44\n")
    assert found == {"val/images/v_0.JPEG": "n1", "val/images/v_1.JPEG": "n2"}


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("history.csv", "epoch,loss\n1,0.5\n2,0.25\n"),
        ("sample_submission.csv", "id,label\n1,cat\n2,cat\n"),
        ("metadata.csv", "image,date,camera\n1.png,2020,x\n2.png,2021,y\n"),
        ("empty.csv", ""),
    ],
)
def test_tables_of_something_else(table, text):
    images = ["1.png", "2.png"] if table != "history.csv" else IMAGES
    assert read(table, text, images) == ({}, [])


def test_faults():
    with pytest.raises(DataError, match=r"labels\.csv: there is no image 7, which it labels cat"):
        read("labels.csv", "id,label\n1,cat\n7,cat\n")
    with pytest.raises(DataError, match="1 is labeled dog, and elsewhere cat"):
        read("labels.csv", "id,label\n1,cat\n1,dog\n")
    with pytest.raises(DataError, match="it is not text in UTF-8"):
        read("labels.csv", b"\xff\xfe1,cat")
