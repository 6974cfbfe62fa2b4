"""A layer of your own: forward, backward, output_shape, and a check of its gradients.

    python examples/own_layer.py

LeakyReLU with one trainable slope per channel (PReLU, He et al. 2015):

    y = x          for x > 0            dx = dy              for x > 0
    y = slope * x  elsewhere            dx = slope * dy      elsewhere
                                        dslope = sum of dy * x over the other elements, per channel
"""

import numpy as np

from minicnn import training
from minicnn.layers import Conv2d, GlobalAvgPool2d, Layer, Linear, Parameter, Sequential
from minicnn.study import check_gradients


class PReLU(Layer):
    """`(N, H, W, C)` -> `(N, H, W, C)`; negative values are multiplied by a trained slope."""

    def __init__(self, channels: int):
        self.slope = Parameter(np.full(channels, 0.25, np.float32))

    def output_shape(self, shape):
        return shape

    def forward(self, x):
        self.save_for_backward(x)
        return np.where(x > 0, x, self.slope.value * x)

    def backward(self, dy):
        (x,) = self.pop_saved()
        negative = x <= 0
        self.slope.add_grad((dy * x * negative).sum(axis=(0, 1, 2)))
        return np.where(negative, self.slope.value * dy, dy)


generator = np.random.default_rng(0)
layer = PReLU(3).astype(np.float64)
check = check_gradients(layer, generator.standard_normal((2, 5, 5, 3)))
print(check)
assert check.ok

images = generator.standard_normal((64, 12, 12, 3)).astype(np.float32)
labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
net = Sequential(
    conv=Conv2d(3, 8, 3, padding=1), prelu=PReLU(8), pool=GlobalAvgPool2d(), fc=Linear(8, 2)
)
history = training.fit(net, (images, labels), epochs=20, lr=0.1, progress=False)
first, last = (history.rows[i]["train_loss"] for i in (0, -1))
print(f"training loss: {first:.3f} in the first epoch, {last:.3f} in the last")
