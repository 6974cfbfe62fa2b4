# %% [markdown]
"""Your own layer: forward, backward, output_shape, and a check.

PReLU has one trained slope, alpha, per channel for negative values (He et al. 2015a, "Delving deep
into rectifiers"):

    y = x          for x > 0            dx = dy              for x > 0
    y = alpha * x  elsewhere            dx = alpha * dy      elsewhere
                                        dalpha = sum of dy * x over the other elements, per channel

Change: in `backward`, leave out `* negative`.
Then: the check says that dalpha is wrong, and which elements are too many.
"""

# %%
import numpy as np

import minicnn
from minicnn import data, study, training
from minicnn.layers import Conv2d, GlobalAvgPool2d, Layer, Linear, MaxPool2d, Parameter, Sequential


class PReLU(Layer):
    """`(N, H, W, C)` -> `(N, H, W, C)`; negative values are multiplied by a trained slope."""

    def __init__(self, channels: int):
        self.alpha = Parameter(np.full(channels, 0.25, np.float32))

    def output_shape(self, shape):
        return shape

    def forward(self, x):
        self.save_for_backward(x)
        return np.where(x > 0, x, self.alpha.value * x)

    def backward(self, dy):
        (x,) = self.pop_saved()
        negative = x <= 0
        self.alpha.add_grad((dy * x * negative).sum(axis=(0, 1, 2)))
        return np.where(negative, self.alpha.value * dy, dy)


# %% [markdown]
# It works in a network like any other layer. Are the slopes trained? They start at 0.25.

# %%
train, test = data.digits(16)
minicnn.seed(0)
net = Sequential(
    conv1=Conv2d(1, 8, 3, padding=1),
    prelu1=PReLU(8),
    pool1=MaxPool2d(2),
    conv2=Conv2d(8, 16, 3, padding=1),
    prelu2=PReLU(16),
    pool2=GlobalAvgPool2d(),
    fc=Linear(16, 10),
    input_shape=(16, 16, 1),
)
print(study.summarize(net))

preprocess = data.Preprocess((16, 16), mean=0.5, std=0.25)
settings = dict(epochs=10, lr=0.05, batch_size=32, preprocess=preprocess, progress=False)
history = training.fit(net, train, test, **settings)
first, last = history.rows[0], history.rows[-1]
print(f"training loss {first['train_loss']:.3f} at first, {last['train_loss']:.3f} at last")
print("slopes", net.prelu1.alpha.value.round(2))

# %% [markdown]
# Is the gradient right? PReLU is an operation that the check has by name, so it can also say which
# mistake was made. The gradients of other layers are compared with finite differences. On the
# command line: `minicnn check my_layers.py`.

# %%
print(study.check(PReLU(3)))
