"""Batches: every image once per epoch, in an order that the seed determines."""

import threading

import numpy as np
import pytest
from PIL import Image

from minicnn import data, use
from minicnn.data import Dataset, Loader, Pipeline, Preprocess, RandomResizedCrop
from minicnn.data.loader import AHEAD
from minicnn.data.shards import Shards
from minicnn.errors import DataError
from minicnn.kernels import dispatch
from minicnn.kernels.cuda import precision


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


def test_the_smaller_last_batch_can_be_left_out():
    """In each epoch other images are in it; a set that is smaller than a batch is one batch."""
    loader = Loader(dataset(10), 4, shuffle=True, seed=3)
    loader.drop_last = True
    first, second = read(loader), read(loader)
    assert len(loader) == 2 and [len(b) for b in first + second] == 4 * [4]
    assert set(sum(first, [])) != set(sum(second, []))
    small = Loader(dataset(3), 4)
    small.drop_last = True
    assert read(small) == [[0, 1, 2]]


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
    large = Dataset(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4))
    with pytest.raises(DataError, match="the images are 2x2 pixels"):
        read(Loader(large, 2, Preprocess(size=(1, 1))))
    with pytest.raises(ValueError, match="seed=None: expected an integer >= 0"):
        Loader(dataset(4), 2, shuffle=True, seed=None)
    with pytest.raises(ValueError, match="batch_size=0"):
        Loader(dataset(4), 0)


@pytest.fixture
def photographs(tmp_path):
    """Twenty JPEGs for training and four for testing, of several sizes, in class folders."""
    generator = np.random.default_rng(0)
    for i in range(24):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8))
        path = tmp_path / "train" / "ab"[i % 2] / f"{i:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((90 + i, 60 + 2 * i), Image.Resampling.BICUBIC).save(path)
    return tmp_path


def noise(images, generator):
    return images + generator.integers(0, 9, images.shape, np.uint8)


WINDOWS = RandomResizedCrop(24, flip=0.5)
SIZED = Preprocess(size=(24, 24), channels=3)


def batches(folder, *, memory=1 << 20, at=(0, 0), augment=WINDOWS, **options):
    train, _ = data.load(str(folder), 24, lambda line: None, originals=True, memory=memory)
    loader = Loader(train, 6, SIZED, augment, shuffle=True, seed=3, **options)
    loader.epoch, loader.batch = at
    found = []
    while loader.epoch < 2:
        found += list(loader)
    return found


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for (x, labels), (y, others) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(labels, others)


def test_windows_of_files_do_not_depend_on_shards(photographs):
    train, _ = data.load(str(photographs), 24, lambda line: None, originals=True)
    found = []
    for count in (1, 4):
        loader = Loader(train, 6, SIZED, WINDOWS, shuffle=True, seed=3)
        loader.shards = Shards(6, count)
        found.append(np.concatenate([x for x, _ in loader if len(x)]))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("augment", [WINDOWS, Pipeline(WINDOWS, noise), None])
def test_pixels_do_not_depend_on_workers_memory_or_where_a_run_goes_on(photographs, augment):
    expected = batches(photographs, augment=augment, workers=1)
    assert [len(labels) for _, labels in expected] == [6, 6, 6, 2] * 2
    for options in ({"workers": 3}, {"memory": 0}, {"memory": 50_000, "workers": 5}):
        assert_equal(batches(photographs, augment=augment, **options), expected)
    assert_equal(batches(photographs, augment=augment, at=(1, 2)), expected[6:])


def test_windows_are_cut_from_the_originals(photographs):
    """A file that is white but for what a center square keeps: its windows have white pixels."""
    wide = np.full((40, 160, 3), 255, np.uint8)
    wide[:, 60:100] = 0
    for path in photographs.rglob("*.jpg"):
        Image.fromarray(wide).save(path)
    whites = np.mean([x.mean() for x, _ in batches(photographs)])
    assert 0.3 < whites < 0.95
    squares, _ = data.load(str(photographs), 24, lambda line: None)
    assert max(x.mean() for x, _ in Loader(squares, 6, SIZED, WINDOWS)) < 0.02


def test_a_broken_file_is_named_and_no_thread_stays(photographs):
    before = threading.active_count()
    broken = photographs / "train" / "a" / "08.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(DataError, match=r"train/a/08\.jpg: it cannot be read as an image"):
        batches(photographs)
    for _ in Loader(dataset(100), 4):
        break
    assert threading.active_count() == before


def test_batches_are_prepared_ahead():
    """While the first batch is used, three more are made."""
    made, seen = [], threading.Event()

    def watch(images, generator):
        made.append(int(images.flat[0]) // 4)
        if len(made) == AHEAD + 1:
            seen.set()
        return images

    reader = iter(Loader(dataset(40), 4, augment=watch))
    next(reader)
    assert seen.wait(5)
    assert sorted(made)[: AHEAD + 1] == list(range(AHEAD + 1))
    reader.close()


def test_workers_are_checked():
    for workers in (0, "4", 1.5):
        with pytest.raises(ValueError, match=f"workers={workers!r}: expected an integer >= 1"):
            Loader(dataset(4), 2, workers=workers)


def test_its_threads_have_the_switches_of_the_one_that_iterates():
    def preprocess(images):
        seen.add((precision.product_option(False), dispatch.current()))
        return images

    seen = set()
    with precision.precision("ffma"), use("reference"):
        read(Loader(dataset(10), 4, preprocess))
    assert seen == {("FFMA", "reference")}
