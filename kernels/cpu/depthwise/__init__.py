"""Convolution with one group per channel: every filter reads one map (Howard et al. 2017, 3.1).

    y[n, p, q, c] = b[c] + sum_{i, j} x[n, p*s + i*d, q*s + j*d, c] * w[i, j, c]

A result has only kH * kW products: memory, not arithmetic, limits it. So sums.py copies no array,
neither into patches nor with a border. taps.py lists which pixels each result reads; with that, the
input gradient is the same sum over dy, and one kernel computes both. In the weight gradient every
pixel takes part in each row of the kernel: bands.py copies it to where it is near. The vectors are
channels.
"""

from .gradient import conv2d_grad_weight
from .sums import conv2d, conv2d_grad_input, supports

__all__ = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight", "supports"]
