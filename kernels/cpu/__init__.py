"""Every operation for float32 on the CPU: Numba, SIMD, all cores.

`reference` serves what is missing here. engine/ holds what the operations are made of; direct/ and
winograd/ are the two algorithms of conv.py, and narrow.py its case of few filters.
"""

from .activation import (
    activate,
    activation_grad,
    add,
    relu,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
)
from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from .dropout import dropout, dropout_grad
from .engine import memory
from .linear import linear, linear_grad_input, linear_grad_weight
from .loss import softmax, softmax_cross_entropy
from .norm import batch_norm, batch_norm_grad, local_response_norm, local_response_norm_grad
from .optim import adam_update, rmsprop_update, sgd_update
from .pool import (
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool2d,
    global_avg_pool2d_grad,
    max_pool2d,
    max_pool2d_grad,
)

__all__ = [
    "activate",
    "activation_grad",
    "adam_update",
    "add",
    "avg_pool2d",
    "avg_pool2d_grad",
    "batch_norm",
    "batch_norm_grad",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "dropout",
    "dropout_grad",
    "empty",
    "global_avg_pool2d",
    "global_avg_pool2d_grad",
    "linear",
    "linear_grad_input",
    "linear_grad_weight",
    "local_response_norm",
    "local_response_norm_grad",
    "max_pool2d",
    "max_pool2d_grad",
    "relu",
    "relu_grad",
    "rmsprop_update",
    "scaled_tanh",
    "scaled_tanh_grad",
    "sgd_update",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
    "tanh_grad",
]


def empty(x, shape):
    """See `reference.empty`."""
    return memory.empty(tuple(shape))
