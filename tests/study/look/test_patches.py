"""The strongest patches, against a search by hand."""

import numpy as np
import pytest

from minicnn import data
from minicnn.errors import MinicnnError
from minicnn.study import look

from .twins import branched, chain, forward, network, tensor, torch


def images(model, n=70, seed=3):
    shape = (n, *model.input_shape)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "layer", "unit"), [(chain, "conv1", 4), (chain, "fc1", 7), (branched, "same.body", 5)]
)
def test_the_strongest_places(make, layer, unit):
    model, _ = network(make)
    model.astype(np.float32)
    x, kept = images(model), {}
    x[66] *= 3  # in the second batch
    forward(model.eval(), tensor(x).float(), torch.relu, kept)
    y = kept[layer].detach().numpy()[:, unit].reshape(len(x), -1)
    order = np.argsort(-y.max(axis=1), kind="stable")[:9]
    found = look.top_patches(model, x, layer, unit)
    assert [patch.image for patch in found] == order.tolist()
    assert 66 in order or layer != "conv1"
    np.testing.assert_allclose([p.activation for p in found], y.max(axis=1)[order], rtol=1e-4)
    width = kept[layer].shape[3] if kept[layer].ndim == 4 else 1
    fields = look.receptive_fields(model)
    for patch in found:
        assert patch.row * width + patch.column == y[patch.image].argmax()
        assert patch.box == fields[layer].box(patch.row, patch.column)


def test_a_unit_does_not_change_beyond_its_box():
    model, _ = network(chain)
    model.astype(np.float32)
    x = images(model, 5)
    (best, *_) = look.top_patches(model, x, "norm1", 2)
    top, left, bottom, right = best.box
    assert (bottom - top) * (right - left) < 15 * 14
    alone = np.zeros_like(x[:1])
    alone[:, top:bottom, left:right] = x[best.image, top:bottom, left:right]
    (same,) = look.top_patches(model, alone, "norm1", 2)
    assert same.activation >= best.activation * (1 - 1e-5)


def test_data_sets_pixels_and_several_units():
    model, _ = network(chain)
    model.astype(np.float32)
    model.preprocess = data.Preprocess((15, 14), 3, mean=0.5, std=0.25)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 15, 14, 3), np.uint8)
    found = look.top_patches_of_units(model, pixels, "conv1", [0, 3], count=4)
    dataset = data.Dataset(pixels, np.zeros(20, np.int64))
    assert found[3] == look.top_patches(model, dataset, "conv1", 3, count=4)
    assert found[3] == look.top_patches(model, model.preprocess(pixels), "conv1", 3, count=4)
    assert {len(patches) for patches in found.values()} == {4}
    assert len(look.top_patches(model, pixels[:2], "conv1", 0)) == 2


def test_answers_of_a_unit():
    model, x = network(chain)
    kept = {}
    forward(model.eval(), tensor(x), torch.relu, kept)
    y = kept["norm1"].detach().numpy().transpose(0, 2, 3, 1)
    fields = look.receptive_fields(model)
    for i, answer in enumerate(look.unit_activations(model, x, "norm1", 2)):
        assert answer.activation == pytest.approx(y[i, ..., 2].max(), rel=1e-9)
        assert y[i, *answer.unit] == pytest.approx(answer.activation, rel=1e-9)
        assert answer.box == fields["norm1"].box(*answer.unit[:2])
    (answer,) = look.unit_activations(model, x[0], "fc1", 3)
    assert (answer.unit, answer.box) == ((3,), (0, 0, 14, 14)), "no window reads the last row"
    assert look.unit_count(model, "norm1", x[0]) == 6


def test_what_does_not_fit_is_named():
    model, x = network(chain)
    model.astype(np.float32)
    x = x.astype(np.float32)
    for arguments, words in (
        ((x, "conv1", 6), r"unit=6: conv1 has the units 0 to 5"),
        ((x, "conv1", (0, 0, 1)), r"unit=\(0, 0, 1\): conv1 has the units 0 to 5"),
        ((x, "conv1", 0, 0), r"count=0: expected at least 1"),
        ((x[0], "conv1", 0), r"images: \(15, 14, 3\); expected a Dataset or an array"),
        (([1], "conv1", 0), r"images: list; expected a Dataset or an array"),
        ((x, "flat", 0), r"no layer or parameter 'flat'; did you mean flatten"),
    ):
        with pytest.raises((MinicnnError, ValueError), match=words):
            look.top_patches(model, *arguments)
    x[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="conv1 returns NaN for an image"):
        look.top_patches(model, x, "conv1", 0)
