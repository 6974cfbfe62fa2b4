"""Convolution with one group per channel: every filter reads one map (Howard et al. 2017, 3.1).

    y[n, p, q, c] = b[c] + sum_{i, j} x[n, p*s + i*d, q*s + j*d, c] * w[i, j, c]

A result has only kH * kW products: memory, not arithmetic, limits it. So no array is copied,
neither into patches nor with a border. taps.py lists which pixels each result reads; with that, the
input gradient (sums.py) is the same sum over dy, and one kernel computes both. A row of the source
goes by pixel by pixel, and each is loaded once: the weights and the results that are not finished
are in registers, in the weight gradient (gradient.py) dy and the sums. The vectors are channels.
"""

from .gradient import conv2d_grad_weight
from .sums import conv2d, conv2d_grad_input, supports

__all__ = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight", "supports"]
