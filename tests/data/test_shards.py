"""Shards: every image once, sizes that differ by at most one, whoever computes them."""

import itertools

import numpy as np
import pytest

from minicnn.data import Preprocess, RandomResizedCrop
from minicnn.data.augment import (
    KRIZHEVSKY,
    NORMALIZE,
    AlternatingFlip,
    ColorJitter,
    CutMix,
    Cutout,
    Lighting,
    Mixup,
    Pipeline,
    RandomChoice,
    RandomCropFlip,
    RandomErasing,
    RandomFlip,
    RandomShift,
)
from minicnn.data.dataset import Dataset
from minicnn.data.loader import Loader
from minicnn.data.shards import EveryOther, Shards


def spans(shards, images):
    total = shards.updates(images) * shards.count
    return [shards.rows(i, images) for i in range(total)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("images", [1, 5, 24, 50, 52, 95])
def test_every_image_is_in_one_shard(images, count):
    shards = Shards(24, count)
    found = spans(shards, images)
    assert found[0][0] == 0 and found[-1][1] == images
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    for update in range(shards.updates(images)):
        own = [last - first for first, last in found[update * count : (update + 1) * count]]
        assert sum(own) == min(24, images - 24 * update)
        assert own[0] >= 1 and max(own) - min(own) <= 1
    assert {b - a for a, b in found} == shards.sizes(images)
    assert max(b - a for a, b in found) <= shards.size


def test_a_division_by_hand():
    """10 images in updates of 7, of 3 shards: 3 + 2 + 2, then 1 + 1 + 1."""
    assert spans(Shards(7, 3), 10) == [(0, 3), (3, 5), (5, 7), (7, 8), (8, 9), (9, 10)]
    assert spans(Shards(7, 3), 8)[3:] == [(7, 8), (8, 8), (8, 8)]  # an update of one image


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_all_processes_together_compute_every_shard_once(ranks):
    shards = Shards(16, 4, 0, ranks)
    turns = list(shards.turns(0, 40))
    assert [rows for turn in turns for rows in turn.rows] == spans(shards, 40)
    assert [turn.after for turn in turns] == [*(turn.start for turn in turns[1:]), 12]
    assert len(turns) == 3 * shards.turns_per_update
    assert list(shards.turns(4, 40)) == turns[shards.turns_per_update :]
    assert [turn.own(9) for turn in turns] == [(turn.first, turn.first) for turn in turns]


def test_batches_in_turn():
    found = {rank: list(EveryOther(4, 1, rank, 3).turns(0, 18)) for rank in range(3)}
    rows = {rank: [turn.own(rank) for turn in turns] for rank, turns in found.items()}
    assert rows == {0: [(0, 4), (12, 16)], 1: [(4, 8), (16, 18)], 2: [(8, 12)]}


def test_processes_load_their_own_shards():
    """The batches of two processes are those of one that computes all shards."""
    images = np.arange(22, dtype=np.float32).reshape(22, 1, 1, 1)
    dataset = Dataset(images, np.zeros(22, np.int64))

    def batches(rank, ranks):
        loader = Loader(dataset, 4, shuffle=True, seed=1)
        loader.shards = Shards.of(4, 3, rank, ranks)
        found = []
        for x, labels in loader:
            assert len(x) == len(labels)
            found.append((x[:, 0, 0, 0].tolist(), loader.first_image))
        assert (loader.epoch, loader.batch) == (1, 0)
        return found

    whole, first, second = batches(0, 1), batches(0, 2), batches(1, 2)
    together = [batch for pair in zip(first, second, strict=True) for batch in pair]
    assert [batch for batch in together if batch[0]] == whole
    assert len(together) == 8 and together[3] == ([], 0)  # three shards, two processes
    assert sorted(pixel for batch, _ in whole for pixel in batch) == list(range(22))


@pytest.mark.parametrize(
    "augment",
    [
        Pipeline(RandomCropFlip(9, padding=2, shared_by=4), ColorJitter(0.4, 0.4, 0.4)),
        Pipeline(AlternatingFlip(), RandomShift(2, "reflect"), Lighting(0.1, KRIZHEVSKY)),
        Pipeline(RandomResizedCrop(12, flip=0.5), RandomErasing(0.7), NORMALIZE, Cutout(3)),
        Pipeline(
            RandomFlip(), RandomChoice(Mixup(1.0), CutMix(1.0)), Mixup(1.0), CutMix(1.0, p=0.5)
        ),
    ],
    ids=["crops", "shifts", "windows", "mixtures"],
)
@pytest.mark.parametrize(("count", "ranks"), [(2, 1), (2, 2), (8, 1), (5, 3)])
def test_images_are_augmented_as_in_one_process(augment, count, ranks):
    """Rows of an update have the bits that they have in one batch, also where a run goes on."""
    pixels = np.random.default_rng(0).integers(0, 256, (23, 12, 12, 3)).astype(np.uint8)
    dataset = Dataset(pixels, np.arange(23) % 3, ("a", "b", "c"))
    preprocess = Preprocess((12, 12), 3, mean=0.5, std=0.2)

    def batches(shards, at=0):
        loader = Loader(dataset, 10, preprocess, augment, shuffle=True, seed=4)
        loader.shards, loader.epoch, loader.batch = shards, 1, at
        return [(loader.turn.rows[shards.rank : shards.rank + 1], *batch) for batch in loader]

    whole = [
        np.concatenate(parts) for parts in zip(*(b[1:] for b in batches(Shards(10))), strict=True)
    ]
    for rank in range(ranks):
        shards = Shards(10, count, rank, ranks)
        for at in (0, count):
            for rows, *found in batches(shards, at):
                for first, last in rows:
                    for array, expected in zip(found, whole, strict=True):
                        assert last == first or np.array_equal(array, expected[first:last])


@pytest.mark.parametrize("accumulate", [0, -1, 2.5, "2"])
def test_accumulate_is_checked(accumulate):
    with pytest.raises(ValueError, match=f"accumulate={accumulate!r}: expected an integer >= 1"):
        Shards.of(8, accumulate)
