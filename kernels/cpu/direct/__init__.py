"""Convolution as a matrix product whose left matrix is never written to memory.

Row m of the matrix A is the patch of output pixel m: `kH * kW * C` numbers. The forward pass is
`y = A w` and the weight gradient `dw = A^T dy`; the input gradient adds the rows of `dy w^T` to
the pixels of their patches. patches.py explains how A is read in place.
"""

from .forward import conv2d
from .grad_input import conv2d_grad_input
from .grad_weight import conv2d_grad_weight

__all__ = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]
