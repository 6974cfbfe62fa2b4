"""The loss falls: a few dozen steps of a family's optimizer, on sixteen photographs.

They are of two classes of CIFAR-10, enlarged to the network's input. With ten classes, a net
without batch norm would stay at ln(10) for hundreds of steps. Each family's file has its own test,
since these are the longest tests and a worker takes whole files.
"""

import numpy as np

from minicnn import models
from minicnn.training.metrics import loss_of

CLASSES = ("airplane", "frog")


def assert_loss_falls(name, photographs, lr, steps, **options):
    """The loss is below chance after at most `steps` steps at a rate that suits so few images.

    Training ends with the first five steps whose mean loss is well below chance.

    photographs: `size -> images`, as many of the first of `CLASSES` as of the second.
    """
    model = models.create(name, seed=0, num_classes=2, **options)
    optimizer = model.recipe.make_optimizer(model, lr)
    images = photographs(model.input_shape[0])
    labels = np.repeat([0, 1], len(images) // 2)
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
        if len(losses) >= 5 and np.mean(losses[-5:]) < 0.7 * np.log(2):
            return
    raise AssertionError(f"{name}: the loss stays at chance: {losses}")
