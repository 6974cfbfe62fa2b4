"""The operations that are checked: definition, cases and catalogue of mistakes of each."""

from ..case import Operation
from .adaptive_pool import ADAPTIVE_AVG_POOL2D, ADAPTIVE_MAX_POOL2D
from .avg_pool import AVG_POOL2D, GLOBAL_AVG_POOL2D
from .bilinear import UPSAMPLE_BILINEAR2D
from .conv_catalogue import CONV2D
from .conv_transpose import CONV_TRANSPOSE2D
from .dense import LINEAR, RELU
from .dropout import DROPOUT
from .grouped import DEPTHWISE_CONV2D, GROUPED_CONV2D
from .hinge import SVM_LOSS
from .loss import SOFTMAX_LOSS
from .lrn import LRN
from .max_pool import MAX_POOL2D
from .norm import BATCH_NORM, GROUP_NORM, LAYER_NORM, SPATIAL_BATCH_NORM
from .piecewise import PIECEWISE
from .prelu import PRELU
from .smooth import SMOOTH
from .upsample import UPSAMPLE2D

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        CONV2D,
        GROUPED_CONV2D,
        DEPTHWISE_CONV2D,
        CONV_TRANSPOSE2D,
        MAX_POOL2D,
        AVG_POOL2D,
        GLOBAL_AVG_POOL2D,
        ADAPTIVE_AVG_POOL2D,
        ADAPTIVE_MAX_POOL2D,
        UPSAMPLE2D,
        UPSAMPLE_BILINEAR2D,
        BATCH_NORM,
        SPATIAL_BATCH_NORM,
        LAYER_NORM,
        GROUP_NORM,
        LRN,
        LINEAR,
        RELU,
        *PIECEWISE,
        *SMOOTH,
        PRELU,
        DROPOUT,
        SOFTMAX_LOSS,
        SVM_LOSS,
    )
}
