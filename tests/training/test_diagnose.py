"""Explanations for a training that goes wrong."""

import numpy as np
import pytest

from minicnn import layers, training
from minicnn.data import Dataset
from minicnn.training.diagnose import dead_classes

LEVELS = ("dark", "medium", "bright")


def gray_levels(images=240):
    """2x2 images of three gray levels, each a little different."""
    labels = np.arange(images) % 3
    levels = labels - 1 + np.random.default_rng(0).uniform(-0.2, 0.2, images)
    pixels = np.repeat(levels, 4).reshape(-1, 2, 2, 1).astype(np.float32)
    return Dataset(pixels, labels, LEVELS)


def network(medium_weight, medium_bias):
    """Dark and bright are right; the output of medium is max(0, weight * level + bias)."""
    model = layers.Sequential(
        flatten=layers.Flatten(), linear=layers.Linear(4, 3, activation="relu")
    )
    model.linear.weight.value[...] = [[-1, medium_weight / 4, 1]]
    model.linear.bias.value[...] = [0.1, medium_bias, 0.1]
    return model


def warning_for(model):
    gray = gray_levels()
    result = training.evaluate(model, gray, loss=training.SoftmaxCrossEntropy())
    return dead_classes(model, gray, None, result)


def test_a_unit_that_has_died():
    sentence = warning_for(network(medium_weight=0, medium_bias=-1))
    assert sentence is not None
    assert sentence.startswith("the output of medium is the same for all images and never the larg")


def test_a_class_that_is_only_never_predicted():
    """Its output differs from image to image: it may still be learned."""
    assert warning_for(network(medium_weight=0.1, medium_bias=0)) is None


def test_a_network_that_predicts_all_classes():
    assert warning_for(network(medium_weight=0, medium_bias=1)) is None


def test_a_network_that_has_learned_nothing():
    model = network(medium_weight=0, medium_bias=-1)
    model.linear.weight.value[...] = 0
    assert warning_for(model) is None


def test_fit_says_it_where_it_was_called():
    gray = gray_levels()
    options = {"epochs": 1, "lr": 1e-3, "batch_size": 60, "progress": False}
    with pytest.warns(UserWarning, match="the output of medium is the same") as said:
        training.fit(network(medium_weight=0, medium_bias=-1), gray, gray, **options)
    assert said[0].filename == __file__
