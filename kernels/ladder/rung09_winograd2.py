"""Winograd F(2x2): four results of a 3x3 kernel from 16 products instead of 36 (Lavin & Gray 2015).

A tile of 4 x 4 pixels is transformed by additions alone, multiplied point by point, summed over the channels and transformed back
(`kernels/cpu/winograd`).
"""

from .finish import passes_with

forward, grad_input, grad_weight = passes_with("winograd2")
