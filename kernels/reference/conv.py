"""Convolution (strictly: cross-correlation, the kernel is not flipped), forward and backward.

    y[n, p, q, k] = b[k] + sum_{i, j, c} x[n, p*s + i*d, q*s + j*d, c] * w[i, j, c, k]

with x padded by zeros. Shapes: x `(N, H, W, C)`, w `(kH, kW, C/groups, K)`, b `(K,)`, y `(N, H_out, W_out, K)`.
Group g reads input channels [g*C/G, (g+1)*C/G) and writes output channels [g*K/G, (g+1)*K/G) (Krizhevsky et al. 2012, section 3.2).

`connections`, `(C/groups, K)` of 0 and 1, cuts the weights between unconnected maps (LeCun et al. 1998, table I).
"""

from ..geometry import window
from .activation import activate, activation_grad
from .arrays import array_module, deliver, scatter, windows

PATCHES = 1 << 26  # bytes


def conv2d(
    x, w, b=None, stride=1, padding=0, dilation=1, groups=1, activation=None, connections=None, scale=None, residual=None,
    out=None, keep=None, moments=None,
):  # fmt: skip
    """The convolution of a batch, with its bias and activation: `f(scale * (x conv w) + b + residual)`.

    Args:
        x: images, `(N, H, W, C)`.
        w: weights, `(kH, kW, C/groups, K)`.
        b: biases `(K,)`, or None.
        stride, dilation: an int or a pair, in pixels.
        padding: an int, a pair, or `((top, bottom), (left, right))`, in pixels of zeros.
        activation: None, or a name from `activation.ACTIVATIONS`, applied to the result.
        connections: None, or `(C/groups, K)` of 0 and 1.
        scale: None, or factors `(K,)` of the output channels: batch normalization with fixed statistics, at no cost.
        residual: None, or an array of y's shape that is added before the activation.
        out: None, or an array `(N, H_out, W_out, K)` to write into.
        keep: None, or a dict of the caller's in which a backend may keep what it made of w for the next call; if w changes, it notices.
        moments: None, or a dict of the caller's in which a backend may leave what it learns of y's mean and variance, for `batch_norm`.

    Returns y, `(N, H_out, W_out, K)`.
    Raises ValueError if the kernel does not fit the padded image.
    """
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    w = _connected(w, connections)
    xp = array_module(x)
    y = xp.empty((len(x), *geometry.output, w.shape[3]), x.dtype)
    for images in _portions(x, geometry):
        patches = windows(x[images], geometry)  # (n, H_out, W_out, kH, kW, C)
        for c, k in _groups(x.shape[3], w.shape[3], groups):
            y[images, ..., k] = xp.tensordot(patches[..., c], w[..., k], axes=3)
    if scale is not None:
        y *= scale
    if b is not None:
        y += b
    if residual is not None:
        y += residual
    return deliver(activate(y, activation), out)


def conv2d_grad_input(
    dy, w, x_shape, stride=1, padding=0, dilation=1, groups=1, connections=None, rectified=None
):
    """The gradient of the images: every output sends `dy * w` back to the pixels that its window covered.

        dx[n, p*s + i*d, q*s + j*d, c] += sum_k dy[n, p, q, k] * w[i, j, c, k]

    Shapes: dy `(N, H_out, W_out, K)` (before the activation), x_shape and dx `(N, H, W, C)`.
    `rectified`: None, or the images x if a ReLU made them: then dx is the gradient before that ReLU, 0 where x is.
    """
    geometry = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    w = _connected(w, connections)
    xp = array_module(dy)
    pairs = _groups(x_shape[3], w.shape[3], groups)

    def from_kernel_cell(i, j):
        parts = [dy[..., k] @ w[i, j][:, k].T for _, k in pairs]
        return parts[0] if groups == 1 else xp.concatenate(parts, axis=3)

    dx = scatter(from_kernel_cell, x_shape, geometry)
    return dx if rectified is None else activation_grad(dx, rectified, "relu")


def conv2d_grad_weight(
    dy, x, w_shape, stride=1, padding=0, dilation=1, groups=1, connections=None, bias=True
):
    """The gradients of the weights and biases: every output credits the pixels that it saw.

        dw[i, j, c, k] = sum_{n, p, q} x[n, p*s + i*d, q*s + j*d, c] * dy[n, p, q, k]        db[k] = sum dy[..., k]

    Returns dw `(kH, kW, C/groups, K)` and db `(K,)`, or None instead of db if there is no `bias`.
    """
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dw = array_module(x).zeros(w_shape, x.dtype)
    for images in _portions(x, geometry):
        patches = windows(x[images], geometry)
        for c, k in _groups(x.shape[3], w_shape[3], groups):
            rows = patches[..., c].reshape(
                -1, w_shape[0] * w_shape[1] * w_shape[2]
            )  # one row a window
            dw[..., k] += (rows.T @ dy[images, ..., k].reshape(rows.shape[0], -1)).reshape(
                *w_shape[:3], -1
            )
    return _connected(dw, connections), dy.sum(axis=(0, 1, 2)) if bias else None


def _portions(x, geometry) -> list[slice]:
    """The batch in portions whose patches fill at most PATCHES bytes: a whole VGG batch's would fill gigabytes."""
    image = (
        geometry.output[0]
        * geometry.output[1]
        * geometry.kernel[0]
        * geometry.kernel[1]
        * x.shape[3]
        * x.itemsize
    )
    count = max(1, PATCHES // image)
    return [slice(start, start + count) for start in range(0, len(x), count)]


def _groups(channels: int, filters: int, groups: int) -> list[tuple[slice, slice]]:
    """The input and output channels of each group."""
    c, k = channels // groups, filters // groups
    return [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(groups)]


def _connected(w, connections):
    return w if connections is None else w * connections
