"""airbench94: its sizes, its first layer, and its recipe against the author's formulas."""

import numpy as np
import pytest
import torch

from minicnn import models, training
from minicnn.kernels import functional as F
from minicnn.models.airbench import white_noise_filters, whitening_filters
from minicnn.training.checkpoint import BEST

from .starts import assert_loss_falls
from .tables import sizes

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (48, 32, 32, 3), np.uint8)
LABELS = np.arange(48) % 10


def test_sizes():
    found = sizes("airbench94")
    layers = ("whiten", "group1.conv1", "group1.norm2", "group2.norm2", "group3.norm2", "pool")
    assert [found[layer] for layer in layers] == [
        *((31, 31, 24), (31, 31, 64), (15, 15, 64), (7, 7, 256), (3, 3, 256), (1, 1, 256))
    ]


def natural_images(n):
    """Images whose neighboring pixels and channels are correlated."""
    noise = GENERATOR.standard_normal((n, 12, 14, 3))
    noise += np.roll(noise, 1, axis=1) + np.roll(noise, 1, axis=2)
    return (noise + noise.mean(axis=-1, keepdims=True)).astype(np.float32)


def test_whitened_patches_are_uncorrelated():
    x = natural_images(700)
    y = F.conv2d(x, whitening_filters(x, eps=0))
    maps = y.reshape(-1, 24)
    np.testing.assert_allclose(maps.T[:12] @ maps[:, :12] / len(maps), np.eye(12), atol=1e-3)
    np.testing.assert_allclose(maps[:, 12:], -maps[:, :12], atol=1e-5)


def test_whitening_by_the_definition_in_torch():
    """Eigenvectors of the patches' mean square, largest first, over sqrt(eigenvalue + eps)."""
    x = natural_images(40)
    patches = torch.tensor(x).double().permute(0, 3, 1, 2).unfold(2, 2, 1).unfold(3, 2, 1)
    patches = patches.permute(0, 2, 3, 4, 5, 1).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    expected = (vectors / torch.sqrt(values + 0.1)).flip(1).numpy()
    ours = whitening_filters(x, eps=0.1).reshape(12, 24)
    signs = np.sign((ours[:, :12] * expected).sum(axis=0))
    np.testing.assert_allclose(
        ours, np.concatenate([expected, -expected], 1) * [*signs, *signs], rtol=1e-3, atol=1e-4
    )


def train(model, **options):
    return training.fit(model, (IMAGES, LABELS), progress=False, **options)


class Interrupt(training.Callback):
    def on_step_end(self, trainer, loss):
        if trainer.iteration == 5:
            trainer._sigint.set()


def test_the_first_layer_is_made_once(tmp_path):
    """From the images before the first step; its bias is trained for 3 epochs; both are kept."""
    biases = []

    class Watch(training.Callback):
        def on_epoch_end(self, trainer, row):
            biases.append(trainer.model.whiten.bias.value.copy())

    whole = models.create("airbench94", seed=0)
    np.testing.assert_array_equal(whole.whiten.weight.value, white_noise_filters())
    history = train(whole, callbacks=[Watch()])
    assert len(history.rows) == 10, "9.9 epochs of one batch are 10 steps"
    normalized = whole.preprocess(IMAGES)
    np.testing.assert_array_equal(whole.whiten.weight.value, whitening_filters(normalized))
    assert abs(biases[0] - biases[2]).max() > 0
    for first, last in ((2, 3), (4, 8)):  # Lookahead's steps 5 and 10 still average it
        np.testing.assert_array_equal(biases[first], biases[last])

    parts = models.create("airbench94", seed=0)
    assert train(parts, out=tmp_path, callbacks=[Interrupt()]).interrupted
    parts = models.create("airbench94", seed=0)
    train(parts, out=tmp_path, resume=True)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(parts.state_dict()[name], array)

    loaded = models.create("airbench94", weights=tmp_path / BEST)
    training.fit(loaded, (IMAGES[::-1] // 2, LABELS), epochs=1, progress=False)
    np.testing.assert_array_equal(loaded.whiten.weight.value, whole.whiten.weight.value)


@pytest.mark.parametrize(("name", "scaler"), [("fc.weight", 1), ("group1.norm2.bias", 64)])
def test_the_steps_are_the_authors(name, scaler):
    """Losses added over 1024 images, rates and decay per 1024 images and decoupled, as written."""
    model = models.create("airbench94", seed=0)
    optimizer = model.recipe.make_optimizer(model)
    parameters = dict(model.named_parameters())
    scale = 1024 * (1 + 1 / (1 - 0.85))
    lr, decay = 11.5 / scale * scaler, 0.0153 * 1024 / scale
    twin = torch.nn.Parameter(torch.tensor(parameters[name].value))
    judge = torch.optim.SGD([twin], lr, momentum=0.85, weight_decay=decay / lr, nesterov=True)
    for factor in (0.2, 1.0, 0.5):
        optimizer.lr = model.recipe.lr * factor
        judge.param_groups[0]["lr"] = lr * factor
        gradient = GENERATOR.standard_normal(parameters[name].value.shape).astype(np.float32)
        parameters[name].grad, twin.grad = gradient, torch.tensor(1024 * gradient)
        optimizer.step()
        judge.step()
    np.testing.assert_allclose(parameters[name].value, twin.detach().numpy(), rtol=1e-4, atol=1e-4)


def test_loss_falls(photographs):
    assert_loss_falls("airbench94", photographs, lr=0.02, steps=20)
