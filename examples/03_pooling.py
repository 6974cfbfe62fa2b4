# %% [markdown]
"""Pooling, and which pixel gets the gradient.

Max pooling keeps the largest pixel of each window. In backward, only that pixel gets the gradient,
as a small change of another one does not change the output. Average pooling gives every pixel an
equal share.

Change: stride=1 to stride=2 in `MaxPool2d`.
Then: the windows do not overlap any more, no pixel wins twice, and dx has a single 1 per window.
"""

# %%
import numpy as np

from minicnn import data
from minicnn.layers import AvgPool2d, MaxPool2d
from minicnn.study import plots

image = np.array([[1, 5, 2, 0], [3, 4, 8, 1], [7, 2, 6, 2], [0, 1, 3, 9]], float)
x = image.reshape(1, 4, 4, 1)

pool = MaxPool2d(2, stride=1)
y = pool.forward(x)
print(y[0, :, :, 0])

# %% [markdown]
# With a gradient of 1 for every output, `dx` counts the windows in which a pixel is the largest.

# %%
wins = pool.backward(np.ones_like(y))
print(wins[0, :, :, 0])  # the 8 is the largest in four windows
print("windows:", y.size, "wins:", int(wins.sum()))

# %% [markdown]
# Average pooling: each window gives a quarter to each of its pixels.

# %%
average = AvgPool2d(2, stride=1)
y = average.forward(x)
print(average.backward(np.ones_like(y))[0, :, :, 0])

# %% [markdown]
# On a digit of 32 x 32 pixels: pooling three times. Strokes stay bright in the maximum, and fade in
# the average.

# %%
digit = data.digits()[0].images[:1].astype(np.float32)
pictures, names = [digit[0]], ["digit"]
for kind, name in ((MaxPool2d, "maximum"), (AvgPool2d, "average")):
    y = digit
    for _ in range(3):
        y = kind(2).forward(y)
        pictures.append(y[0])
        names.append(f"{name} {y.shape[1]}")
plots.images([p.clip(0, 255).astype(np.uint8) for p in pictures], "03_pooling.png", names, 7)
