"""FFT: a convolution is a product of spectra, whatever the kernel's size (Mathieu, Henaff & LeCun 2013).

    Y(f) = sum over c of X(f, c) * conj(W(f, c, k))      for every frequency f

R * R multiplications a weight become one complex one a frequency. The transforms and the complex arithmetic have to pay for themselves:
they do for large kernels, not for 3x3.
"""

import numpy as np

from .finish import bias_and_relu, bias_gradient, padded


def _spectrum(a, size):
    """Of the two image axes, `(N, H, W, C)` -> `(H, W / 2 + 1, N, C)`."""
    return np.fft.rfft2(a, size, axes=(1, 2)).transpose(1, 2, 0, 3).astype(np.complex64)


def _back(spectrum, size):
    """`(H, W / 2 + 1, N, K)` -> `(N, H, W, K)`."""
    return np.fft.irfft2(spectrum.transpose(2, 0, 1, 3), size, axes=(1, 2)).astype(np.float32)


def forward(x, w, b, pad):
    """See `ladder`."""
    x = padded(x, pad)
    size, rows, columns = x.shape[1:3], x.shape[1] - len(w) + 1, x.shape[2] - len(w) + 1
    filters = np.fft.rfft2(w, size, axes=(0, 1)).astype(np.complex64)  # (H, W / 2 + 1, C, K)
    y = _back(_spectrum(x, size) @ filters.conj(), size)[:, :rows, :columns]
    return bias_and_relu(np.ascontiguousarray(y), b)


def grad_input(dy, w, pad):
    """See `ladder`."""
    size = tuple(s + len(w) - 1 for s in dy.shape[1:3])
    filters = np.fft.rfft2(w, size, axes=(0, 1)).astype(np.complex64)
    dx = _back(_spectrum(dy, size) @ filters.transpose(0, 1, 3, 2), size)
    return np.ascontiguousarray(dx[:, pad : size[0] - pad, pad : size[1] - pad])


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    x = padded(x, pad)
    whole = x.shape[1:3]
    products = (
        _spectrum(x, whole).transpose(0, 1, 3, 2) @ _spectrum(dy, whole).conj()
    )  # (H, W / 2 + 1, C, K)
    dw = np.fft.irfft2(products, whole, axes=(0, 1)).astype(np.float32)
    return np.ascontiguousarray(dw[:size, :size]), bias_gradient(dy)
