# %% [markdown]
"""Residual connections.

A deep stack of layers is harder to train than a shallow one. In backward each layer multiplies the
gradient by its weights, and with the default initial weights little of it is left after many
layers. A residual block computes y = x + f(x) (He et al. 2015b, "Deep residual learning"). In
backward, dx = dy + (the gradient through f): the first term passes the gradient on unchanged (He et
al. 2016, "Identity mappings"). The networks of these papers also have larger initial weights and
batch norm, which keep the gradient's scale.

Change: DEPTH from 16 to 2.
Then: the gradient in the first block of the plain network is about 1e-4 in place of 5e-11, and its
loss begins to fall.
"""

# %%
import minicnn
from minicnn import data, training
from minicnn.layers import Conv2d, GlobalAvgPool2d, Linear, ReLU, Residual, Sequential
from minicnn.study import probe

DEPTH = 16  # blocks of one convolution each
train, test = data.digits(8)
preprocess = data.Preprocess((8, 8), mean=0.5, std=0.25)


def block(channels):
    """Convolution and ReLU; the size stays."""
    return Sequential(Conv2d(channels, channels, 3, padding=1), ReLU())


def network(residual):
    """One convolution, DEPTH blocks, one linear layer."""
    minicnn.seed(0)
    blocks = [Residual(block(16)) if residual else block(16) for _ in range(DEPTH)]
    first, last = Conv2d(1, 16, 3, padding=1), (GlobalAvgPool2d(), Linear(16, 10))
    return Sequential(first, *blocks, *last, input_shape=(8, 8, 1))


# %% [markdown]
# `probe` runs one forward and backward on random images. How large is the gradient in each block?

# %%
for residual in (False, True):
    net = network(residual)
    readings, _ = probe(net)
    gradients = [r.gradient for r in readings if r.layer == "ReLU"]
    history = training.fit(
        net, train, test, epochs=4, lr=0.01, batch_size=32, preprocess=preprocess, progress=False
    )
    last = history.rows[-1]
    print(f"\n{'residual' if residual else 'plain'}")
    print(f"gradient in the first block {gradients[0]:.1e}, in the last {gradients[-1]:.1e}")
    print(f"training loss {last['train_loss']:.3f}, test accuracy {last['test_accuracy']:.2%}")
