"""Convolution with fewer multiplications (Winograd 1980; Lavin & Gray 2015).

F(m x m, r x r) computes m x m results of an r x r kernel from (m + r - 1)^2 products; the plain sum
needs m^2 r^2.

    Y = A^T [ (G g G^T) * (B^T d B) ] A

Products of different channels are summed before the inverse transform, so the middle part is
(m + r - 1)^2 matrix products `(tiles, C) x (C, K)`, one per position of the transformed tile.
F(4x4, 3x3) needs 36 products instead of 144, F(2x2, 3x3) 16 instead of 36, F(2x2, 5x5) 36 instead
of 100. The weight gradient is the same algorithm with exchanged sizes, F(r x r, m x m): its r x r
results are sums over m x m gradients.

matrices.py computes A, G and B. transforms.py has the transforms of tiles, kernels.py the kernels
of one F, `Winograd(m, r)`, and passes.py the three passes of a convolution.
"""

from .kernels import SUBBATCH, Winograd, winograd
from .matrices import matrices
from .passes import conv2d, conv2d_grad_input, conv2d_grad_weight, supports

__all__ = [
    "SUBBATCH",
    "Winograd",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "matrices",
    "supports",
    "winograd",
]
