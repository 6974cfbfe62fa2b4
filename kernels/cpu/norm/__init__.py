"""Normalization in few passes over memory.

local_response.py is local response normalization. batch.py is batch normalization, and
moments.py its mean and variance.
"""

from .batch import batch_norm, batch_norm_add, batch_norm_grad
from .local_response import local_response_norm, local_response_norm_grad

__all__ = [
    "batch_norm",
    "batch_norm_add",
    "batch_norm_grad",
    "local_response_norm",
    "local_response_norm_grad",
]
