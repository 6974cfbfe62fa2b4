"""Mixed images and targets against their definitions, image by image."""

import numpy as np
import pytest

from minicnn.data.augment import CutMix, Cutout, Mixup, Pipeline, RandomChoice
from minicnn.data.augment.mix import one_hot


def batch(n=12, h=9, w=7, classes=5):
    """Images that hold their own number, so that a mixture tells what it is made of."""
    x = np.repeat(2.0 ** np.arange(n), h * w).astype(np.float32).reshape(n, h, w, 1)
    return x, one_hot(np.arange(n) % classes, classes)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_one_hot():
    np.testing.assert_array_equal(one_hot(np.array([1, 0, 2]), 3), np.eye(3)[[1, 0, 2]])


def test_mixup_blends_images_and_targets_alike():
    x, targets = batch()
    for seed in range(20):
        mixed, soft = Mixup(1.0)(x, targets, generator(seed))
        draws = generator(seed)
        weight, others = draws.beta(1.0, 1.0), draws.permutation(12)
        for i, j in enumerate(others):
            np.testing.assert_allclose(mixed[i], weight * x[i] + (1 - weight) * x[j], rtol=1e-5)
            np.testing.assert_allclose(
                soft[i], weight * targets[i] + (1 - weight) * targets[j], rtol=1e-5
            )
        assert mixed.dtype == soft.dtype == np.float32
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


def test_mixup_weights_follow_the_beta_distribution():
    x, targets = np.float32([[[[0]]], [[[1]]]]), np.eye(2, dtype=np.float32)
    weights = []
    for seed in range(4000):
        _, soft = Mixup(0.2)(x, targets, generator(seed))
        weights.append(soft[0, 0])
    found = np.array([w for w in weights if w != 1])
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)); half of the permutations are none.
    assert abs(found.mean() - 0.5) < 0.03
    assert abs(found.var() - 1 / (4 * 1.4)) < 0.01


def test_cutmix_replaces_a_rectangle_and_mixes_targets_by_its_share():
    x, targets = batch()
    shares = []
    for seed in range(300):
        mixed, soft = CutMix(1.0)(x, targets, generator(seed))
        changed = (mixed != x).any(axis=(0, 3))
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        assert changed.sum() == rows.sum() * columns.sum()
        share = changed.mean()
        shares.append(share)
        if share == 0:
            np.testing.assert_array_equal(soft, targets)
            continue
        first = np.flatnonzero(rows)[0], np.flatnonzero(columns)[0]
        for i in range(len(x)):
            values = np.unique(mixed[i, changed])
            assert len(values) == 1
            assert (mixed[i, ~changed] == x[i, 0, 0]).all()
            j = int(np.log2(mixed[i][first]).item())
            np.testing.assert_allclose(
                soft[i], (1 - share) * targets[i] + share * targets[j], atol=1e-6
            )
    assert min(shares) < 0.02
    assert max(shares) > 0.7


def test_cutmix_happens_with_its_probability():
    x, targets = batch()
    same = [CutMix(1.0, p=0.5)(x, targets, generator(seed))[0] is x for seed in range(300)]
    assert 110 < sum(same) < 190


def test_random_choice_is_one_of_its_steps():
    x, targets = batch()
    steps = Mixup(0.2), CutMix(1.0)
    counts = [0, 0]
    for seed in range(400):
        mixed, soft = RandomChoice(*steps, p=(0.25, 0.75))(x, targets, generator(seed))
        draws = generator(seed)
        chosen = int(draws.random() >= 0.25)
        counts[chosen] += 1
        expected = steps[chosen](x, targets, draws)
        np.testing.assert_array_equal(mixed, expected[0])
        np.testing.assert_array_equal(soft, expected[1])
    assert 70 < counts[0] < 130
    assert RandomChoice(*steps) == RandomChoice(*steps, p=[0.5, 0.5])
    assert repr(RandomChoice(*steps)) == "RandomChoice(Mixup(alpha=0.2), CutMix(alpha=1.0))"
    assert Pipeline(RandomChoice(*steps)).mixes


def test_arguments_that_mean_nothing():
    with pytest.raises(ValueError, match=r"RandomChoice\(Cutout.*mixes no images; expected Mixup"):
        RandomChoice(Cutout(3), Mixup(1.0))
    with pytest.raises(ValueError, match=r"2 steps and 1 probabilities"):
        RandomChoice(Mixup(1.0), CutMix(1.0), p=(1.0,))
    with pytest.raises(ValueError, match=r"expected numbers >= 0 whose sum is 1"):
        RandomChoice(Mixup(1.0), CutMix(1.0), p=(0.5, 0.4))
    with pytest.raises(ValueError, match=r"0 steps"):
        RandomChoice()
    with pytest.raises(ValueError, match="alpha=.*: expected a number above 0"):
        Mixup("a")
    with pytest.raises(ValueError, match="Mixup: alpha=0: expected a number above 0"):
        Mixup(0)
    with pytest.raises(ValueError, match="p=3: expected 0 to 1"):
        CutMix(1.0, p=3)
