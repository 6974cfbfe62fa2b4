"""Every operation in plain NumPy: the definition that all other backends are tested against.

Any floating type; CuPy arrays work as well. It is written to be read, not to be fast.
"""

from .activation import (
    activate,
    activation_grad,
    add,
    clip,
    clip_grad,
    elu,
    elu_grad,
    gelu,
    gelu_grad,
    gelu_tanh,
    gelu_tanh_grad,
    hard_sigmoid,
    hard_sigmoid_grad,
    hard_swish,
    hard_swish_grad,
    leaky_relu,
    leaky_relu_grad,
    prelu,
    prelu_grad,
    relu,
    relu6,
    relu6_grad,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    sigmoid_grad,
    silu,
    silu_grad,
    tanh,
    tanh_grad,
)
from .arrays import empty
from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from .dropout import dropout, dropout_grad
from .fused import (
    batch_norm_add,
    conv2d_affine,
    conv2d_grad_input_add,
    conv2d_grad_input_relu,
    fold_batch_norm,
)
from .linear import linear, linear_grad_input, linear_grad_weight, rbf, rbf_grad
from .loss import (
    binary_cross_entropy,
    map_loss,
    mean_squared_error,
    softmax,
    softmax_cross_entropy,
    softmax_grad,
)
from .norm import (
    batch_norm,
    batch_norm_grad,
    group_norm,
    group_norm_grad,
    layer_norm,
    layer_norm_grad,
    local_response_norm,
    local_response_norm_grad,
)
from .optim import adam_update, rmsprop_update, sgd_update
from .pool import (
    adaptive_max_pool2d,
    adaptive_max_pool2d_grad,
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool2d,
    global_avg_pool2d_grad,
    max_pool2d,
    max_pool2d_grad,
    subsample2d,
    subsample2d_grad,
)
from .resample import resample2d, resample2d_grad
from .transposed import (
    conv_transpose2d,
    conv_transpose2d_grad_input,
    conv_transpose2d_grad_weight,
)
