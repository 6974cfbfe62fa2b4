"""ImageNet in the forms in which it is distributed, in miniature."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from minicnn import data, models
from minicnn.data import synsets
from minicnn.errors import DataError

# The first five validation images: the devkit's id, Caffe's label, the WordNet id.
TRUTH = [
    (490, 65, "n01751748"),
    (361, 970, "n09193705"),
    (171, 230, "n02105855"),
    (822, 809, "n04263257"),
    (297, 516, "n03125729"),
]
TRAIN = {wnid: [f"{wnid}_{i}.JPEG" for i in (10026, 7)] for _, _, wnid in TRUTH}
NAMES = ("sea snake", "Shetland sheepdog", "cradle", "soup bowl", "alp")


def color(wnid, number):
    return (int(wnid[-3:]) % 256, number, int(wnid[1:4]))


def picture(wnid, number, kind="JPEG", mode="RGB", exif=None):
    buffer = io.BytesIO()
    image = Image.new("RGB", (40, 30), color(wnid, number)).convert(mode)
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}), exif=exif or b"")
    return buffer.getvalue()


def tar(entries, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, contents in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            archive.addfile(entry, io.BytesIO(contents))
    return buffer.getvalue()


def training_tar():
    """A tar file of tar files. One image is a PNG, one CMYK, one has an orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    synset_tars = {}
    for k, (wnid, names) in enumerate(TRAIN.items()):
        images = {name: picture(wnid, i) for i, name in enumerate(names)}
        if k == 0:
            images[names[0]] = picture(wnid, 0, "PNG")
        if k == 1:
            images[names[0]] = picture(wnid, 0, mode="CMYK")
        if k == 2:
            images[names[0]] = picture(wnid, 0, exif=exif.tobytes())
        synset_tars[f"{wnid}.tar"] = tar(images)
    return tar(synset_tars)


def val_name(number):
    return f"ILSVRC2012_val_{number:08}.JPEG"


def val_images():
    return {val_name(i): picture(wnid, 100) for i, (_, _, wnid) in enumerate(TRUTH, 1)}


def devkit(ids=None, mode="w:gz"):
    lines = "".join(f"{i}\n" for i in ids or [i for i, _, _ in TRUTH])
    folder = "ILSVRC2012_devkit_t12"
    return tar(
        {
            f"{folder}/readme.txt": b"of 2012",
            f"{folder}/data/meta.mat": b"MATLAB 5.0 MAT-file",
            f"{folder}/data/ILSVRC2012_validation_ground_truth.txt": lines.encode(),
        },
        mode,
    )


def write(root, **files):
    for name, contents in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def distributed(root):
    write(
        root,
        **{
            "ILSVRC2012_img_train.tar": training_tar(),
            "ILSVRC2012_img_val.tar": tar(val_images()),
            "ILSVRC2012_devkit_t12.tar.gz": devkit(),
        },
    )
    return root


def check(train, test, training_images=10):
    """Every image has the color of its class."""
    wnids = {synset.name: synset.wnid for synset in synsets.synsets()}
    assert train.classes == test.classes
    assert synsets.readable(train.classes) == NAMES
    assert (len(train), len(test)) == (training_images, 5)
    for dataset in (train, test):
        assert dataset.decode is not None and not dataset.decode.orient
        for image, label in zip(
            dataset.images[np.arange(len(dataset))], dataset.labels, strict=True
        ):
            red, _, blue = color(wnids[NAMES[label]], 0)
            np.testing.assert_allclose(image[..., 0], red, atol=6)
            np.testing.assert_allclose(image[..., 2], blue, atol=6)


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_the_archives(tmp_path, memory):
    said = []
    found = data.imagenet(distributed(tmp_path), 16, report=said.append, memory=memory)
    check(*found)
    assert found[0].name == "imagenet" and said == []
    check(*data.load(str(tmp_path), 16, said.append))


def test_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"imagenet: there is no ImageNet.*img_train\.tar"):
        data.load("imagenet")
    distributed(tmp_path / "imagenet")
    train, test = data.load("imagenet", 16)
    check(train, test)
    assert train.source == "imagenet"


def test_the_training_tar_is_not_unpacked(tmp_path):
    """Of 1000 tar files in a tar file only the places of the images are kept."""
    root = distributed(tmp_path)
    train, _ = data.imagenet(root, 16, memory=0)
    name, read = train.images.files[0]
    assert name.endswith("train/n01751748/n01751748_10026.JPEG")
    size = (root / "ILSVRC2012_img_train.tar").stat().st_size
    assert len(read()) < size / 10 and Image.open(io.BytesIO(read())).size == (40, 30)
    assert sorted(path.name for path in root.iterdir()) == sorted(
        ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"]
    )


def test_one_archive(tmp_path):
    """A training tar has its own class folders, a validation tar its ground truth beside it."""
    root = distributed(tmp_path)
    _, test = data.imagenet(root / "ILSVRC2012_img_val.tar", 16, report=lambda line: None)
    assert test.classes == NAMES and len(test) == 5
    train, _ = data.imagenet(root / "ILSVRC2012_img_train.tar", 16, report=lambda line: None)
    assert train.classes == NAMES and len(train) == 10


def folders_of_training(root, above="train"):
    for wnid, names in TRAIN.items():
        for i, name in enumerate(names):
            write(root, **{f"{above}/{wnid}/{name}": picture(wnid, i)})


def test_unpacked_and_sorted_into_folders(tmp_path):
    folders_of_training(tmp_path)
    for i, (_, _, wnid) in enumerate(TRUTH, 1):
        write(tmp_path, **{f"val/{wnid}/{val_name(i)}": picture(wnid, 100)})
    check(*data.load(str(tmp_path), 16))
    check(*data.imagenet(tmp_path, 16))


@pytest.mark.parametrize("table", ["devkit folder", "Caffe", "Kaggle"])
def test_unpacked_with_the_validation_images_in_one_folder(tmp_path, table):
    above = "ILSVRC/Data/CLS-LOC/" if table == "Kaggle" else ""
    folders_of_training(tmp_path, f"{above}train")
    write(tmp_path, **{f"{above}val/{name}": image for name, image in val_images().items()})
    if table == "devkit folder":
        with tarfile.open(fileobj=io.BytesIO(devkit()), mode="r:gz") as kit:
            kit.extractall(tmp_path, filter="data")
    elif table == "Caffe":
        lines = [f"{val_name(i)} {label}\n" for i, (_, label, _) in enumerate(TRUTH, 1)]
        write(tmp_path, **{"caffe_ilsvrc12/val.txt": "".join(lines).encode()})
    else:
        rows = [
            f"{val_name(i)[:-5]},{wnid} 85 1 499 272 {wnid} 3 4 5 6 \n"
            for i, (_, _, wnid) in enumerate(TRUTH, 1)
        ]
        write(
            tmp_path,
            **{
                "LOC_val_solution.csv": "".join(["ImageId,PredictionString\n", *rows]).encode(),
                "LOC_train_solution.csv": b"ImageId,PredictionString\nn01751748_7,n01751748 1 2 3",
                f"{above}test/ILSVRC2012_test_00000001.JPEG": picture("n01751748", 1),
            },
        )
    said = []
    check(*data.load(str(tmp_path), 16, said.append))
    if table == "Kaggle":
        (line,) = said
        assert "images in test are left out: they have no class" in line


def test_archives_whose_images_lie_beside_them_are_left_out(tmp_path):
    distributed(tmp_path)
    folders_of_training(tmp_path)
    said = []
    check(*data.imagenet(tmp_path, 16, report=said.append))
    (line,) = said
    assert "img_train.tar is left out: its images lie unpacked beside it" in line


def test_another_order_of_the_classes_is_found_out(tmp_path):
    """Labels that count as the devkit does, in a table that counts as Caffe does."""
    write(tmp_path, **{f"val/{name}": image for name, image in val_images().items()})
    lines = [f"{val_name(i)} {number - 1}\n" for i, (number, _, _) in enumerate(TRUTH, 1)]
    write(tmp_path, **{"val.txt": "".join(lines).encode()})
    with pytest.raises(DataError, match=r"val_00000001.JPEG is labeled .*sea snake.*another order"):
        data.load(str(tmp_path), 16)
    (tmp_path / "val.txt").unlink()
    write(tmp_path, **{"ILSVRC2012_devkit_t12.tar.gz": devkit([i + 1 for _, i, _ in TRUTH])})
    with pytest.raises(DataError, match=r"val_00000001.JPEG is labeled .*another order"):
        data.load(str(tmp_path), 16)


def test_validation_images_in_the_folder_of_another_class(tmp_path):
    write(tmp_path, **{f"val/n01440764/{val_name(3)}": picture("n01440764", 0)})
    write(tmp_path, **{f"val/n01751748/{val_name(1)}": picture("n01751748", 0)})
    with pytest.raises(DataError, match=r"labeled n01440764 \(tench\), but it shows n02105855"):
        data.imagenet(tmp_path, 16, report=lambda line: None)


def test_missing_and_wrong_labels(tmp_path):
    write(tmp_path, **{"ILSVRC2012_img_val.tar": tar(val_images())})
    with pytest.raises(DataError, match=r"have no labels: put ILSVRC2012_devkit_t12\.tar\.gz"):
        data.imagenet(tmp_path, 16)
    write(tmp_path, **{"ILSVRC2012_devkit_t12.tar.gz": devkit([490, 361])})
    with pytest.raises(DataError, match=r"no label for the validation image .*_00000003\.JPEG"):
        data.imagenet(tmp_path, 16)
    write(tmp_path, **{"ILSVRC2012_devkit_t12.tar.gz": devkit([490, 361, 0, 822, 297])})
    with pytest.raises(DataError, match=r"the label 0 is no class of ImageNet; expected 1 to 1000"):
        data.imagenet(tmp_path, 16)


def test_damaged_archives(tmp_path):
    contents = training_tar()
    write(tmp_path, **{"ILSVRC2012_img_train.tar": contents[: len(contents) // 2]})
    with pytest.raises(DataError, match=r"img_train\.tar.*: the archive is damaged"):
        data.imagenet(tmp_path, 16)
    write(tmp_path, **{"ILSVRC2012_img_train.tar": tar({"n01440764.tar": b"no tar file"})})
    with pytest.raises(DataError, match=r"n01440764\.tar: the archive is damaged"):
        data.imagenet(tmp_path, 16)


def test_a_network_of_imagenet_reads_it(tmp_path):
    """Five of the classes are found among a thousand outputs."""
    from minicnn import evaluation

    _, test = data.imagenet(distributed(tmp_path), 64, memory=0)
    network = models.create("alexnet", seed=0, hidden=8, input_size=67)
    result = evaluation.evaluate(network, test, "alexnet_10")
    assert result.labels.tolist() == sorted(label for _, label, _ in TRUTH)
    assert result.classes == synsets.names()
