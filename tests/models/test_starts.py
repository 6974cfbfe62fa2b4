"""Training really starts: thirty SGD steps from each network's own initial weights, on forty real images of CIFAR-10's ten classes."""

import numpy as np
import pytest

from minicnn import data, models
from minicnn.data import folders
from minicnn.training.metrics import loss_of

CASES = {  # options, learning rate for the small batch
    "resnet18": ({"input_size": 64}, 0.01),
    "resnet20_cifar": ({}, 0.1),
    "preresnet20_cifar": ({}, 0.02),
    "googlenet_bn": ({"input_size": 64}, 0.01),
}


@pytest.fixture(scope="module")
def cifar():
    """Four training images of each class, by name of the file."""
    source = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    files = folders.listing(source)
    classes = data.cifar.CLASSES
    paths = [f"train/{name}/{i:04}.jpg" for name in classes for i in range(4)]
    return lambda size: np.stack([folders.decode(path, files[path].read, size) for path in paths]), np.repeat(np.arange(10), 4)


@pytest.mark.parametrize("name", CASES)
def test_loss_falls_below_chance(name, cifar):
    options, lr = CASES[name]
    model = models.create(name, seed=0, num_classes=10, **options)
    optimizer = model.recipe.make_optimizer(model, lr)
    images, labels = cifar[0](model.input_shape[0]), cifar[1]
    preprocess = model.recipe.preprocess
    x = ((images / 255 - np.asarray(preprocess.mean)) / np.asarray(preprocess.std)).astype(np.float32)
    generator = np.random.default_rng(0)
    losses = []
    for _ in range(30):
        rows = generator.permutation(40)[:20]
        loss, gradient = loss_of(model)(model(x[rows]), labels[rows])
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.6 * np.log(10), losses
