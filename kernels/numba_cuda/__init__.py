"""Numba-CUDA twins of the GPU's kernels: the same ideas in Python, to be read; never the fast path. What is not here, `reference` serves.

They run on CuPy's arrays, and without a GPU in Numba's simulator, on NumPy's: `NUMBA_ENABLE_CUDASIM=1 python ...`.
"""

from numba import cuda

from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from .loss import softmax_cross_entropy
from .norm import local_response_norm, local_response_norm_grad
from .optim import sgd_update
from .pool import max_pool2d, max_pool2d_grad


def unavailable() -> str | None:
    """One sentence that says why there is no GPU to compute on, or None."""
    if cuda.is_available():
        return None
    return "Numba finds no CUDA device; NUMBA_ENABLE_CUDASIM=1 in the environment runs its kernels in a simulator, on NumPy arrays"
