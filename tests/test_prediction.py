"""`minicnn.predict` in Python."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, models
from minicnn.errors import DataError, ShapeError
from minicnn.layers import Flatten, Identity, Linear, Sequential
from minicnn.prediction import write_csv, write_json
from minicnn.training.metrics import preprocess_of

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


@pytest.fixture
def model():
    return models.create("resnet20_cifar", seed=0).train()


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_arrays_files_and_checkpoints_agree(model, tmp_path):
    model.classes = tuple("abcdefghij")
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, image in zip(paths, PIXELS, strict=True):
        Image.fromarray(image).save(path)
    found = minicnn.predict(model, paths, top=3, batch_size=2)
    assert model.training
    assert [p.path for p in found] == list(map(str, paths))
    with minicnn.no_grad():
        expected = softmax(model.eval()(preprocess_of(model)(PIXELS)))
    for p, row in zip(found, expected, strict=True):
        assert [name for name, _ in p.top] == ["abcdefghij"[i] for i in np.argsort(-row)[:3]]
        np.testing.assert_allclose([q for _, q in p.top], np.sort(row)[::-1][:3], rtol=1e-4)
        assert (p.class_name, p.probability) == p.top[0]
    minicnn.save(model, tmp_path / "w.safetensors")
    others = [
        minicnn.predict(tmp_path / "w.safetensors", tmp_path, top=3),
        minicnn.predict(model, str(tmp_path / "[0-9].png"), top=3),
        minicnn.predict(model, PIXELS, top=3),
        [minicnn.predict(model, image, top=3)[0] for image in PIXELS],
        minicnn.predict(model, preprocess_of(model)(PIXELS), top=3),
    ]
    for other in others:
        for p, q in zip(found, other, strict=True):
            assert [name for name, _ in p.top] == [name for name, _ in q.top]
            assert p.probability == pytest.approx(q.probability, rel=1e-4)
    assert [p.path for p in others[0]] == list(map(str, paths))
    assert others[2][0].path is None


def test_networks_for_mnist_invert_dark_on_light(tmp_path):
    model = models.create("lenet5", seed=0)
    digit = data.digits()[1].images[0, ..., 0]
    for name, image in (("light", digit), ("dark", 255 - digit)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    dark, light = minicnn.predict(model, tmp_path)
    assert (dark.inverted, light.inverted) == (True, False)
    assert dark.class_name == light.class_name
    assert dark.probability == pytest.approx(light.probability, rel=0.01)  # scaling rounds
    assert minicnn.predict(model, tmp_path / "dark.png", invert=False)[0].top != dark.top


def test_what_cannot_be_predicted(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.png: it cannot be read as an image"):
        minicnn.predict(model, tmp_path)
    reports = []
    assert minicnn.predict(model, tmp_path, report=reports.append) == []
    assert len(reports) == 1
    with pytest.raises(DataError, match=r"x\*\.png: there is no image file"):
        minicnn.predict(model, tmp_path / "x*.png")
    with pytest.raises(ValueError, match="top=0"):
        minicnn.predict(model, PIXELS, top=0)
    with pytest.raises(ValueError, match="batch_size=2.5: expected an integer >= 1"):
        minicnn.predict(model, PIXELS, batch_size=2.5)
    with pytest.raises(
        DataError, match=r"Sequential: the network has no recipe .*; `minicnn convert --mean`"
    ):
        minicnn.predict(Sequential(Flatten(), Linear(4, 2)), tmp_path)
    with pytest.raises(ShapeError, match=r"outputs have the shape .*; expected \(N, classes\)"):
        minicnn.predict(Sequential(Identity()), PIXELS.astype(np.float32))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            PIXELS.astype(np.int64),
            "the images are int64; expected uint8, gray levels from 0 to 255",
        ),
        (PIXELS[0, ..., 0], r"are an array \(32, 32\); expected \(H, W, C\) or \(N, H, W, C\)"),
        (list(PIXELS), "expected files, folders, or one array .*, not ndarray; np.stack makes"),
        (None, "expected files, folders, or one array .*, not NoneType"),
        (np.where(PIXELS > 254, np.nan, PIXELS / 255).astype(np.float32), "image 0: .* not finite"),
        (np.ma.masked_array(PIXELS, PIXELS > 9), "array of which .* numbers are masked"),
    ],
)
def test_arrays_that_are_no_images(model, images, message):
    with pytest.raises(ValueError, match=message):
        minicnn.predict(model, images)


def test_an_image_of_pillow(model):
    image = Image.fromarray(PIXELS[0])
    assert minicnn.predict(model, image) == minicnn.predict(model, PIXELS[0])


def test_formats():
    rows = [
        minicnn.Prediction("a,b.png", (("ä", 0.75), ("b", 0.25))),
        minicnn.Prediction(None, (("b", 1.0),), inverted=True),
    ]
    file = io.StringIO()
    write_csv(rows, file)
    assert file.getvalue().splitlines() == [
        "path,class,probability,class_2,probability_2,inverted",
        '"a,b.png",ä,0.750000,b,0.250000,false',
        ",b,1.000000,,,true",
    ]
    file = io.StringIO()
    write_json(rows, file)
    assert json.loads(file.getvalue())[0] == {
        "path": "a,b.png",
        "class": "ä",
        "probability": 0.75,
        "top": [{"class": "ä", "probability": 0.75}, {"class": "b", "probability": 0.25}],
        "inverted": False,
    }
