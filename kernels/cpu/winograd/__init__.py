"""Convolution with fewer multiplications (Winograd 1980; Lavin & Gray 2015).

F(m x n, r x s) computes m x n results of an r x s kernel from (m + r - 1) (n + s - 1) products; the
plain sum needs m n r s. The axes are transformed one after the other, by F(m, r) and F(n, s).

    Y = A^T [ (G g G^T) * (B^T d B) ] A

Products of different channels are summed before the inverse transform, so the middle part is
matrix products `(tiles, C) x (C, K)`, one per position of the transformed tile. F(4x4, 3x3) needs
36 products instead of 144, F(2x2, 3x3) 16 instead of 36, F(2x2, 5x5) 36 instead of 100. A 1x7
kernel, as of Inception-v4, has nothing to transform along the columns: F(1x4, 1x7) needs 10
products instead of 28. The weight gradient is the same algorithm with exchanged sizes,
F(r x s, m x n): its r x s results are sums over m x n gradients.

sizes.py has the sizes of F, matrices.py computes A, G and B. transforms.py has the transforms of
tiles, kernels.py the kernels of one F, `Winograd(sizes)`, sums.py those that are the same for all,
and passes.py the three passes of a convolution.
"""

from .kernels import Winograd, winograd
from .matrices import matrices
from .passes import conv2d, conv2d_grad_input, conv2d_grad_weight, supports
from .sizes import Sizes, accurate

__all__ = [
    "Sizes",
    "Winograd",
    "accurate",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "matrices",
    "supports",
    "winograd",
]
