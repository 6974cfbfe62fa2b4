# %% [markdown]
"""Batch norm, with and without.

Batch norm subtracts the mean of each channel over the batch and divides by its standard deviation;
then a trained scale and shift follow (Ioffe & Szegedy 2015). Activations then have the same scale
in every layer, whatever the weights are.

Here the initial weights are too small on purpose, as if nobody had thought about them.

Change: FACTOR to 1.0, and lr to 0.02.
Then: without batch norm, too, the scale stays near 1 in all layers, and the network begins to
learn, but more slowly than with it.
"""

# %%
import numpy as np

import minicnn
from minicnn import data, training
from minicnn.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential
from minicnn.layers.init import he_normal
from minicnn.study import probe

FACTOR = 0.3
SIZES = [(1, 8, 0), (8, 8, 1), (8, 16, 0), (16, 16, 1), (16, 32, 0), (32, 32, 0)]  # in, out, pool?
train, test = data.digits(16)
preprocess = data.Preprocess((16, 16), mean=0.5, std=0.25)


def network(with_norm):
    """Six convolutions of 3 x 3, two poolings, one linear layer."""
    minicnn.seed(0)
    layers = []
    for before, channels, pool in SIZES:
        layers.append(Conv2d(before, channels, 3, padding=1))
        if with_norm:
            layers.append(BatchNorm2d(channels))
        layers.append(ReLU())
        if pool:
            layers.append(MaxPool2d(2))
    net = Sequential(*layers, GlobalAvgPool2d(), Linear(32, 10), input_shape=(16, 16, 1))
    net.initialize(weight=he_normal(), bias=0.0)
    for parameter in net.parameters():
        if parameter.value.ndim == 4:
            parameter.value *= FACTOR
    return net


# %% [markdown]
# The scale of the activations before the first step, and the loss after a few epochs.

# %%
for with_norm in (False, True):
    net = network(with_norm)
    readings, _ = probe(net)
    scales = [r.activation for r in readings if r.layer == "ReLU"]
    print(f"\n{'with' if with_norm else 'without'} batch norm")
    print("scale after each ReLU:", " ".join(f"{s:.4f}" for s in scales))
    settings = dict(epochs=4, lr=0.1, batch_size=64, preprocess=preprocess, progress=False)
    history = training.fit(net, train, test, **settings)
    last = history.rows[-1]
    print(f"training loss {last['train_loss']:.3f}, test accuracy {last['test_accuracy']:.2%}")

# %% [markdown]
# In evaluation a batch may be a single image. So batch norm uses running averages of its
# statistics, and an image has the same result alone as among a hundred.

# %%
net.eval()
x = preprocess(test.images[:100])
print("alone and in a batch:", np.allclose(net(x)[:1], net(x[:1]), atol=1e-4))
