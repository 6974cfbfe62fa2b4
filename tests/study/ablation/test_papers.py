"""Every claim: its networks and recipes are what it says, and nothing else differs."""

import fnmatch

import pytest

from minicnn.layers import BatchNorm2d, Dropout, LocalResponseNorm, MaxPool2d
from minicnn.layers.init import skip_init
from minicnn.study.ablation import claim, claims
from minicnn.study.summary import summarize

NAMES = list(claims())


def build(name, variant, num_classes=7):
    with skip_init():
        return claim(name).variants[variant].build(num_classes)


def layers(name, variant, kind):
    return [layer for _, layer in build(name, variant).named_layers() if isinstance(layer, kind)]


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_is_whole(name):
    found = claim(name)
    assert found.name == name
    sides = {n for s in found.statements for n in (s.lower, s.higher)}
    assert {v for side in sides for v in fnmatch.filter(found.variants, side)} == set(
        found.variants
    )
    for variant in found.variants:
        network = build(name, variant)
        assert network.input_shape == (32, 32, 3)
        assert network.output_shape((2, 32, 32, 3)) == (2, 7)
        assert found.variants[variant].recipe.data == "cifar10"
    recipes = {name: v.recipe for name, v in found.variants.items()}
    assert len({(r.batch_size, r.augment, repr(r.schedule)) for r in recipes.values()}) == 1
    for text in (found.title, found.source, found.setting):
        assert text
        assert not text.endswith(".")


def test_an_unknown_name():
    with pytest.raises(ValueError, match="no ablation 'drop-out'; did you mean dropout"):
        claim("drop-out")
    with pytest.raises(ValueError, match="no ablation 'ReLU'; did you mean relu"):
        claim("ReLU")
    with pytest.raises(ValueError, match="no ablation '7'; known are relu, lrn"):
        claim("7")


def test_what_differs():
    assert len(layers("lrn", "lrn-0.01", LocalResponseNorm)) == 2
    assert not layers("lrn", "none-0.01", LocalResponseNorm)
    sizes = {
        v: {p.kernel_size for p in layers("overlapping-pooling", v, MaxPool2d)}
        for v in ("overlapping-0.003", "apart-0.003")
    }
    assert sizes == {"overlapping-0.003": {(3, 3)}, "apart-0.003": {(2, 2)}}
    shapes = [
        [row.output for row in summarize(build("overlapping-pooling", v)).rows]
        for v in ("overlapping-0.003", "apart-0.003")
    ]
    assert shapes[0] == shapes[1]
    assert [d.p for d in layers("dropout", "dropout", Dropout)] == [0.5, 0.5]
    assert not layers("dropout", "none", Dropout)
    assert len(layers("batch-norm", "bn-x5", BatchNorm2d)) == 6
    assert not layers("batch-norm", "plain-x5", BatchNorm2d)
    rates = {name: v.recipe.lr for name, v in claim("batch-norm").variants.items()}
    assert rates["bn-x5"] == rates["plain-x5"] == pytest.approx(5 * rates["plain"])


def test_the_reductions_save_most_of_the_cost():
    cost = {v: summarize(build("inception", v)).macs for v in ("reduced", "naive")}
    assert cost["reduced"] < 0.4 * cost["naive"]


@pytest.mark.parametrize("depth", [20, 56])
def test_a_plain_network_has_the_weights_of_the_residual_one(depth):
    found = [summarize(build("depth", f"{kind}-{depth}")) for kind in ("plain", "resnet")]
    assert found[0].parameters == found[1].parameters
    assert found[0].macs == found[1].macs
