"""Max and average pooling, one vector of channels at a time.

Tasks share results, so no two threads write to the same place. windows.py has what both need.
"""

from .average import avg_pool2d, avg_pool2d_grad, global_avg_pool2d, global_avg_pool2d_grad
from .max import max_pool2d, max_pool2d_grad

__all__ = [
    "avg_pool2d",
    "avg_pool2d_grad",
    "global_avg_pool2d",
    "global_avg_pool2d_grad",
    "max_pool2d",
    "max_pool2d_grad",
]
