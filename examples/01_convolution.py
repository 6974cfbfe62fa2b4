# %% [markdown]
"""One convolution by hand.

A filter slides over an image. At each place, the pixels below it are multiplied by its weights, and
the products are added up. Here four loops do it, and minicnn's own function gives the same numbers.
In mathematics this is a cross-correlation; a convolution would also flip the filter.

Arrays are `(N, H, W, C)`: images, rows, columns, channels. Weights are `(kH, kW, C, K)` for K
filters. With stride 1 and no padding, the output has H - kH + 1 rows.

Change: give `conv2d` in the last cell stride=2, or padding=1, which is a border of zeros.
Then: the maps have 3 rows with stride=2, as every second place is left out, and 8 with padding=1.
"""

# %%
import numpy as np

from minicnn import data
from minicnn.kernels.functional import conv2d
from minicnn.study import plots

image = np.zeros((6, 6))
image[:, 3:] = 1  # dark on the left, bright on the right
kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # Sobel: is it brighter on the right?

y = np.zeros((4, 4))
for p in range(4):  # the row of the output
    for q in range(4):  # its column
        for i in range(3):  # the row within the filter
            for j in range(3):
                y[p, q] += image[p + i, q + j] * kernel[i, j]
print(y)  # 4 where the filter covers the edge, else 0

# %% [markdown]
# The same with minicnn: one image with one channel, one filter.

# %%
x = image.reshape(1, 6, 6, 1)
w = kernel.reshape(3, 3, 1, 1).astype(float)
print("equal:", np.array_equal(conv2d(x, w)[0, :, :, 0], y))

# %% [markdown]
# On a handwritten digit of 8 x 8 pixels, two filters at once: one for vertical edges, and its
# transpose for horizontal ones. `b` has one bias per filter.

# %%
train, test = data.digits(8)
digit = train.images[:1] / 255.0
both = np.stack([kernel, kernel.T], axis=-1).reshape(3, 3, 1, 2).astype(float)
maps = conv2d(digit, both, b=np.zeros(2))
print(f"{digit.shape} -> {maps.shape}")

pictures = [digit[0], maps[0, :, :, :1], maps[0, :, :, 1:]]
names = ["digit", "vertical edges", "horizontal edges"]
plots.images(pictures, "01_convolution.png", names, columns=3)
