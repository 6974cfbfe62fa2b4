# %% [markdown]
"""The gradient of a convolution, and a check by finite differences.

Training needs the derivative of the loss with respect to every weight and pixel. `dy` is the
gradient of the loss with respect to the output. Each output is a sum of products of a weight and a
pixel. So each product adds dy * pixel to the gradient of its weight, and dy * weight to the
gradient of its pixel.

A derivative can be checked: change one number a little, and measure how much the loss changes.

Change: in the loops, `+=` to `=` in the line of dx.
Then: "dx equal" becomes False, because a pixel in several windows keeps only the last product.
"""

# %%
import numpy as np

from minicnn.kernels.functional import conv2d, conv2d_grad_input, conv2d_grad_weight
from minicnn.layers import BatchNorm2d, Conv2d, Linear
from minicnn.study import check_gradients

generator = np.random.default_rng(0)
x = generator.standard_normal((1, 5, 5, 1))
w = generator.standard_normal((3, 3, 1, 1))
dy = generator.standard_normal((1, 3, 3, 1))  # as if a loss had given it

dx, dw = np.zeros_like(x), np.zeros_like(w)
for p, q, i, j in np.ndindex(3, 3, 3, 3):
    dw[i, j] += x[0, p + i, q + j, 0] * dy[0, p, q, 0]
    dx[0, p + i, q + j] += w[i, j, 0, 0] * dy[0, p, q, 0]

print("dx equal:", np.allclose(dx, conv2d_grad_input(dy, w, x.shape)))
print("dw equal:", np.allclose(dw, conv2d_grad_weight(dy, x, w.shape)[0]))


# %% [markdown]
# One weight by finite differences. `dy` belongs to the loss `sum(dy * y)`.


# %%
def loss(w):
    """The number whose gradient with respect to y is dy."""
    return (dy * conv2d(x, w)).sum()


step = np.zeros_like(w)
step[0, 0] = 1e-5
print(f"measured {(loss(w + step) - loss(w - step)) / 2e-5:.8f}")
print(f"computed {dw[0, 0, 0, 0]:.8f}")

# %% [markdown]
# `check_gradients` does this for a whole layer, in random directions, and gives a verdict. It needs
# float64: in float32 the rounding errors are as large as the differences.


# %%
class ForgetsBias(Linear):
    """A layer with a mistake: it adds no gradient to its bias."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.bias.zero_grad()
        return dx


images, rows = generator.standard_normal((2, 6, 6, 4)), generator.standard_normal((3, 4))
cases = [(Conv2d(4, 5, 3), images), (BatchNorm2d(4), images), (ForgetsBias(4, 2), rows)]
for layer, inputs in cases:
    check = check_gradients(layer.astype(np.float64), inputs)
    print(f"\n{type(layer).__name__}\n{check}")
