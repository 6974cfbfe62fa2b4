"""Data sets, preprocessing, loading, image files."""

from importlib import resources

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.data import Dataset, Loader, Preprocess, RandomShift
from minicnn.errors import DataError


def test_digits():
    train, test = data.digits()
    assert train.images.shape == (1438, 32, 32, 1)
    assert test.images.shape == (359, 32, 32, 1)
    assert np.bincount(test.labels).min() > 20
    small, _ = data.digits(size=8)
    assert small.images.shape == (1438, 8, 8, 1)
    assert set(np.unique(small.images)) <= {min(16 * v, 255) for v in range(17)}
    assert resources.files("minicnn.data").joinpath("digits.npz").stat().st_size < 100_000


def test_digits_are_scikit_learns():
    load_digits = pytest.importorskip(
        "sklearn.datasets", reason="scikit-learn is not installed"
    ).load_digits
    theirs = load_digits()
    train, test = data.digits(size=8)
    is_test = np.arange(1797) % 5 == 4
    for part, rows in ((train, ~is_test), (test, is_test)):
        np.testing.assert_array_equal(
            part.images[..., 0], np.minimum(theirs.images[rows] * 16, 255)
        )
        np.testing.assert_array_equal(part.labels, theirs.target[rows])


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


def test_preprocess():
    images = np.full((2, 28, 28, 1), 255, np.uint8)
    images[0, 0, 0] = 0
    out = Preprocess(size=(32, 32), mean=0.1307, std=0.3081)(images)
    assert out.shape == (2, 32, 32, 1)
    assert out.dtype == np.float32
    background, white = (0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081
    np.testing.assert_allclose(
        out[0, [0, 1, 2, 2, 31], [0, 2, 2, 3, 31], 0],
        [background, background, background, white, background],
        rtol=1e-5,
    )
    color = Preprocess(size=(28, 28), channels=3, mean=(0.1, 0.2, 0.3), std=(1, 2, 4))(images)
    np.testing.assert_allclose(color[1, 5, 5], [0.9, 0.4, 0.175], rtol=1e-5)


def test_1998_scale():
    """Background -0.1, foreground 1.175 (LeCun et al. 1998, section II.B)."""
    from minicnn.models.lenet import LENET5_1998_INPUT

    out = LENET5_1998_INPUT(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))
    np.testing.assert_allclose(
        [out[0, 16, 16, 0], out[1].max(), out[1].min()], [-0.1, 1.175, -0.1], rtol=1e-5
    )


def test_preprocess_refuses():
    preprocess = Preprocess(size=(28, 28))
    with pytest.raises(
        DataError, match="the images are 32x32 pixels; the network reads at most 28x28"
    ):
        preprocess(np.zeros((1, 32, 32, 1), np.uint8))
    with pytest.raises(DataError, match="the images have 3 channels; the network reads 1"):
        preprocess(np.zeros((1, 28, 28, 3), np.uint8))
    with pytest.raises(DataError, match="normalized images must be 28x28x1"):
        preprocess(np.zeros((1, 20, 28, 1), np.float32))


def test_random_shift():
    image = np.zeros((200, 9, 9, 1), np.uint8)
    image[:, 4, 4] = 255
    moved = RandomShift(2)(image, np.random.default_rng(0))
    rows, columns = (
        np.nonzero(moved[..., 0].reshape(200, -1).sum(1))[0],
        moved[..., 0].argmax(axis=(1)).max(axis=1),
    )
    assert len(rows) == 200
    places = {divmod(int(m.argmax()), 9) for m in moved}
    assert places == {(r, c) for r in range(2, 7) for c in range(2, 7)}
    assert columns.max() == 6


def dataset(n):
    return Dataset(np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1), np.arange(n) % 2, ("a", "b"))


def read(loader):
    return [x[:, 0, 0, 0].tolist() for x, _ in loader]


def test_loader_covers_everything_in_a_new_order():
    loader = Loader(dataset(10), 4, shuffle=True, seed=3)
    assert len(loader) == 3
    first, second = read(loader), read(loader)
    assert [len(b) for b in first] == [4, 4, 2]
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == list(range(10))
    assert first != second
    again = Loader(dataset(10), 4, shuffle=True, seed=3)
    assert [read(again), read(again)] == [first, second]
    assert read(Loader(dataset(10), 4, shuffle=True, seed=4)) != first
    assert sum(read(Loader(dataset(10), 4)), []) == list(range(10))


def test_loader_goes_on_from_any_position():
    options = {
        "shuffle": True,
        "seed": 3,
        "augment": lambda images, generator: (
            images + generator.integers(0, 9, images.shape, np.uint8)
        ),
    }
    whole = Loader(dataset(10), 4, **options)
    batches = [batch for _ in range(3) for batch in read(whole)]
    for epoch in range(3):
        for batch in range(3):
            loader = Loader(dataset(10), 4, **options)
            loader.epoch, loader.batch = epoch, batch
            assert read(loader) == batches[3 * epoch + batch : 3 * epoch + 3]
            assert (loader.epoch, loader.batch) == (epoch + 1, 0)


def test_loader_passes_errors_on():
    with pytest.raises(DataError, match="the images are 1x1 pixels"):
        read(Loader(dataset(4), 2, Preprocess(size=(0, 0))))
    with pytest.raises(ValueError, match="batch_size=0"):
        Loader(dataset(4), 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_read_image_modes(tmp_path, mode, suffix):
    """A dark bar on white, in every mode of the format, becomes a bright bar on black."""
    page = np.full((40, 60), 255, np.uint8)
    page[10:30, 20:30] = 0
    image = Image.fromarray(page)
    image = Image.fromarray(page.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    path = tmp_path / f"page.{suffix}"
    try:
        image.save(path)
    except (OSError, ValueError, KeyError):
        return  # the format cannot hold this mode
    pixels, inverted = data.read_image(path, (28, 28), 1)
    assert pixels.shape == (19, 28, 1)
    assert pixels.dtype == np.uint8
    assert inverted
    assert pixels[9, 11] > 200
    assert pixels[:, 20:].max() < 40
    color, inverted = data.read_image(path, (100, 100), 3)
    assert color.shape == (40, 60, 3)
    assert not inverted


def test_read_image_transparency_and_inversion(tmp_path):
    path = tmp_path / "t.png"
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[3:5, 3:5, 3] = 255  # opaque black on nothing
    Image.fromarray(pixels).save(path)
    gray, inverted = data.read_image(path, (28, 28), 1)
    assert inverted
    assert gray[4, 4] == 255
    assert gray[0, 0] == 0
    gray, inverted = data.read_image(path, (28, 28), 1, invert=False)
    assert not inverted
    assert gray[0, 0] == 255


def test_read_image_refuses(tmp_path):
    with pytest.raises(DataError, match=r"missing\.png: there is no such file"):
        data.read_image(tmp_path / "missing.png", (28, 28), 1)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"text\.png: it cannot be read as an image"):
        data.read_image(tmp_path / "text.png", (28, 28), 1)
    with pytest.raises(DataError, match="it cannot be read as an image"):
        data.read_image(tmp_path, (28, 28), 1)


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
