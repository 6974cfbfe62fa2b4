"""The loss falls: a few dozen steps of each family's optimizer, on forty photographs.

They are of two classes of CIFAR-10, enlarged to the network's input. With ten classes, a net
without batch norm would stay at ln(10) for hundreds of steps.
"""

import numpy as np
import pytest

from minicnn import data, models
from minicnn.data.files import listing
from minicnn.training.metrics import loss_of

CLASSES = ("airplane", "frog")
CASES = {  # options, learning rate for so few images, steps
    "alexnet": ({}, 0.001, 60),
    "zfnet": ({}, 0.006, 40),
    "vgg11": ({"input_size": 64}, 0.003, 50),
    "googlenet": ({"input_size": 80}, 0.01, 50),
    "googlenet_bn": ({"input_size": 80}, 0.01, 20),
    "inception_v4": ({"input_size": 107}, 0.003, 20),
    "resnet18": ({"input_size": 64}, 0.002, 20),
    "resnet20_cifar": ({}, 0.05, 20),
    "preresnet20_cifar": ({}, 0.02, 20),
    "nin_cifar10": ({}, 0.015, 100),
}


@pytest.fixture(scope="module")
def photographs():
    """`size -> images`: twenty training images of each class, by name of the file."""
    source = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    files = listing(source)
    paths = [f"train/{name}/{i:04}.jpg" for name in CLASSES for i in range(20)]

    def decoded(size):
        decode = data.Decode((size, size))
        return np.stack([decode(path, files[path].read()) for path in paths])

    return decoded


@pytest.mark.parametrize("name", CASES)
def test_loss_falls_below_chance(name, photographs):
    options, lr, steps = CASES[name]
    model = models.create(name, seed=0, num_classes=2, **options)
    optimizer = model.recipe.make_optimizer(model, lr)
    images, labels = photographs(model.input_shape[0]), np.repeat([0, 1], 20)
    preprocess = model.recipe.preprocess
    x = ((images / 255 - np.asarray(preprocess.mean)) / np.asarray(preprocess.std)).astype(
        np.float32
    )
    losses = []
    for _ in range(steps):
        loss, gradient = loss_of(model)(model(x), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.7 * np.log(2), losses
