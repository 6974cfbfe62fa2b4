"""Convolution as a matrix product that is never materialized.

Row m of the matrix A is the patch that output pixel m sees, `kH * kW * C` numbers. Forward is
`y = A w`, the weight gradient `dw = A^T dy`; the input gradient adds `dy w^T` to where the patches
lie. patches.py tells how A is read in place.
"""

from .forward import conv2d
from .grad_input import conv2d_grad_input
from .grad_weight import conv2d_grad_weight

__all__ = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]
