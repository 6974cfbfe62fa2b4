"""Normalization in few passes over memory.

local_response.py and within_channels.py are local response normalization. batch.py is batch
normalization, and moments.py its mean and variance. group.py and layer.py are group and layer
normalization.
"""

from .batch import batch_norm, batch_norm_add, batch_norm_grad
from .group import group_norm, group_norm_grad
from .layer import layer_norm, layer_norm_grad
from .local_response import local_response_norm, local_response_norm_grad

__all__ = [
    "batch_norm",
    "batch_norm_add",
    "batch_norm_grad",
    "group_norm",
    "group_norm_grad",
    "layer_norm",
    "layer_norm_grad",
    "local_response_norm",
    "local_response_norm_grad",
]
