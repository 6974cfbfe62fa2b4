"""FFT: a convolution is a product of spectra, whatever the size of the kernel.

    Y(f) = sum over c of X(f, c) conj(W(f, c, k))      for each frequency f

(Mathieu, Henaff & LeCun 2013.) The conjugate makes it a correlation. An image of H x W real pixels
has about H W / 2 complex frequencies, and a complex product is 4 real ones: 2 FMAs per pixel,
channel and filter instead of R R. In exchange there are the transforms, and the filters grow to the
size of the image. For 3x3 this is far slower than the plain sum; the gain grows with R R.

NumPy's FFT uses one core. `minicnn ladder conv --kernel 11` shows it level with rung 3.
"""

import numpy as np

from ..types import Array, Pair
from .finish import bias_and_relu, bias_gradient, padded


def _spectrum(a: Array, size: Pair) -> Array:
    """The spectrum over the two image axes, `(N, H, W, C)` -> `(H, W / 2 + 1, N, C)`."""
    return np.fft.rfft2(a, size, axes=(1, 2)).transpose(1, 2, 0, 3).astype(np.complex64)


def _filter_spectrum(w: Array, size: Pair) -> Array:
    """The spectrum of the filters on an image of that size, `(H, W / 2 + 1, C, K)`."""
    return np.fft.rfft2(w, size, axes=(0, 1)).astype(np.complex64)


def _image(spectrum: Array, size: Pair) -> Array:
    """The inverse of `_spectrum`, `(H, W / 2 + 1, N, K)` -> `(N, H, W, K)`."""
    return np.fft.irfft2(spectrum.transpose(2, 0, 1, 3), size, axes=(1, 2)).astype(np.float32)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    x = padded(x, pad)
    height, width = x.shape[1:3]
    products = _spectrum(x, (height, width)) @ _filter_spectrum(w, (height, width)).conj()
    y = _image(products, (height, width))[:, : height - len(w) + 1, : width - len(w) + 1]
    return bias_and_relu(np.ascontiguousarray(y), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`. Without the conjugate: the sum goes over the turned kernel."""
    height, width = (s + len(w) - 1 for s in dy.shape[1:3])
    filters = _filter_spectrum(w, (height, width)).transpose(0, 1, 3, 2)
    dx = _image(_spectrum(dy, (height, width)) @ filters, (height, width))
    return np.ascontiguousarray(dx[:, pad : height - pad, pad : width - pad])


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`. A correlation of x with dy, whose first R x R results are dw."""
    x = padded(x, pad)
    whole = x.shape[1:3]
    products = _spectrum(x, whole).transpose(0, 1, 3, 2) @ _spectrum(dy, whole).conj()
    dw = np.fft.irfft2(products, whole, axes=(0, 1)).astype(np.float32)  # (H, W, C, K)
    return np.ascontiguousarray(dw[:size, :size]), bias_gradient(dy)
