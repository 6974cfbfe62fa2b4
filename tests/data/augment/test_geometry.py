"""Windows, shifts and mirrors against slices of padded images."""

import hashlib

import numpy as np
import pytest

from minicnn.data import Dataset, Loader
from minicnn.data.augment import AlternatingFlip, RandomCropFlip, RandomFlip, RandomShift
from minicnn.errors import DataError


def pixels(*shape, seed=7):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_random_shift():
    image = np.zeros((200, 9, 9, 1), np.uint8)
    image[:, 4, 4] = 255
    moved = RandomShift(2)(image, generator())
    assert (moved.reshape(200, -1).sum(1) == 255).all()
    places = {divmod(int(m.argmax()), 9) for m in moved}
    assert places == {(r, c) for r in range(2, 7) for c in range(2, 7)}


@pytest.mark.parametrize(("mode", "numpy"), [("zeros", "constant"), ("reflect", "reflect")])
def test_shifts_fill_with_black_or_the_mirrored_image(mode, numpy):
    image = pixels(1, 6, 5, 3)
    seen = {m.tobytes() for m in RandomShift(2, mode)(np.repeat(image, 500, axis=0), generator())}
    framed = np.pad(image[0], ((2, 2), (2, 2), (0, 0)), mode=numpy)
    expected = {framed[t : t + 6, x : x + 5].tobytes() for t in range(5) for x in range(5)}
    assert seen == expected


def test_reflection_is_torchs():
    torch = pytest.importorskip("torch")
    image = pixels(1, 6, 5, 3)
    chw = torch.from_numpy(image.astype(np.float32)).permute(0, 3, 1, 2)
    framed = torch.nn.functional.pad(chw, (2, 2, 2, 2), "reflect").permute(0, 2, 3, 1)[0].numpy()
    moved = RandomShift(2, "reflect")(np.repeat(image, 50, axis=0), generator())
    views = [framed[t : t + 6, x : x + 5] for t in range(5) for x in range(5)]
    assert all(any((m == view).all() for view in views) for m in moved)


def test_random_crop_and_flip():
    image = np.arange(6 * 6, dtype=np.uint8).reshape(1, 6, 6, 1)
    crops = RandomCropFlip(4)(np.repeat(image, 500, axis=0), generator())
    assert crops.shape == (500, 4, 4, 1)
    seen = {crop[..., 0].tobytes() for crop in crops}
    expected = {
        np.ascontiguousarray(image[0, t : t + 4, left : left + 4, 0][:, ::step]).tobytes()
        for t in range(3)
        for left in range(3)
        for step in (1, -1)
    }
    assert seen == expected
    padded = RandomCropFlip(6, padding=2)(image + 1, generator(1))
    assert padded.shape == image.shape


def test_images_can_share_a_window():
    image = np.repeat(pixels(1, 12, 12, 3), 70, axis=0)
    crops = RandomCropFlip(4, shared_by=32)(image, generator(5))
    groups = [crops[:32], crops[32:64], crops[64:]]
    assert all((group == group[0]).all() for group in groups)
    assert len({group[0].tobytes() for group in groups}) > 1


@pytest.mark.parametrize(
    ("augment", "digest"),
    [
        (RandomShift(2), "fe031ff85cc1adf9"),
        (RandomCropFlip((12, 10), 4), "2596b98af507e711"),
        (RandomCropFlip(9), "23acb9372db27c96"),
        (RandomCropFlip(8, 2), "d77bbfca75436920"),
    ],
)
def test_draws_stay_the_same(augment, digest):
    """Results of earlier versions can be repeated: these are the digests of their pixels."""
    out = augment(pixels(50, 12, 10, 3), np.random.default_rng([1, 2, 3]))
    assert hashlib.sha256(out.tobytes()).hexdigest()[:16] == digest


def test_random_flip():
    images = pixels(400, 3, 5, 3)
    out = RandomFlip()(images, generator())
    mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((out == images).all(axis=(1, 2, 3)) != mirrored).all()
    assert 150 < mirrored.sum() < 250
    assert (RandomFlip(1.0)(images, generator()) == images[:, :, ::-1]).all()
    assert (RandomFlip(0.0)(images, generator()) == images).all()


def test_alternating_flip_mirrors_each_image_in_every_other_epoch():
    """Whatever the order of the images; a run that goes on from a later epoch gives the same."""
    n = 200
    images = np.zeros((n, 1, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(n) + 1  # the side of the number says whether it is mirrored
    dataset = Dataset(images, np.arange(n) % 2)

    def sides(loader):
        found = np.zeros(n, int)
        for x, _ in loader:
            found[x.max(axis=(1, 2, 3)).astype(int) - 1] = x[:, 0, :, 0].argmax(axis=1)
        return found

    options = {"augment": AlternatingFlip(), "shuffle": True, "seed": 4}
    loader = Loader(dataset, 32, **options)
    epochs = [sides(loader) for _ in range(4)]
    assert (epochs[1] == 1 - epochs[0]).all()
    assert (epochs[2] == epochs[0]).all()
    assert 70 < epochs[0].sum() < 130
    resumed = Loader(dataset, 8, **options)
    resumed.epoch = 3
    assert (sides(resumed) == epochs[3]).all()
    other = sides(Loader(dataset, 32, **{**options, "seed": 5}))
    assert 50 < (other != epochs[0]).sum() < 150
    alone = AlternatingFlip()(images, generator())  # without an epoch: at random
    assert 70 < (alone != images).any(axis=(1, 2, 3)).sum() < 130


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomShift(-1), "RandomShift: pixels=-1: expected an integer >= 0"),
        (lambda: RandomShift(1.5), "RandomShift: pixels=1.5: expected an integer >= 0"),
        (lambda: RandomCropFlip(8.5), "size=.*: expected an integer >= 1"),
        (lambda: RandomCropFlip(8, 0.5), "padding=0.5: expected an integer >= 0"),
        (lambda: RandomShift(2, "wrap"), "padding_mode='wrap': expected one of zeros, reflect"),
        (lambda: RandomCropFlip((4, 0)), "size=.*: expected an integer >= 1"),
        (lambda: RandomCropFlip(4, shared_by=0), "shared_by=0: expected an integer >= 1"),
        (lambda: RandomFlip(1.5), "p=1.5: expected 0 to 1"),
    ],
)
def test_arguments_that_mean_nothing(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_reflection_needs_pixels():
    step = RandomShift(2, "reflect")
    with pytest.raises(DataError, match="images of 2x9 have no 2 pixels to reflect"):
        step(pixels(1, 2, 9, 1), generator())
