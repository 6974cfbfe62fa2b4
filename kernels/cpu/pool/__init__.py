"""Max and average pooling, one vector of channels at a time.

Tasks share the results: no two of them write to the same pixel. windows.py has what both poolings
need.
"""

from .adaptive import adaptive_max_pool2d, adaptive_max_pool2d_grad
from .average import avg_pool2d, avg_pool2d_grad, global_avg_pool2d, global_avg_pool2d_grad
from .max import max_pool2d, max_pool2d_grad

__all__ = [
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_grad",
    "avg_pool2d",
    "avg_pool2d_grad",
    "global_avg_pool2d",
    "global_avg_pool2d_grad",
    "max_pool2d",
    "max_pool2d_grad",
]
