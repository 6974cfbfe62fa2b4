"""The operations that are checked: definition, cases and catalogue of mistakes of each."""

from ..case import Operation
from .avg_pool import AVG_POOL2D
from .conv_catalogue import CONV2D
from .dense import LINEAR, RELU
from .dropout import DROPOUT
from .loss import SOFTMAX_LOSS, SVM_LOSS
from .lrn import LRN
from .max_pool import MAX_POOL2D
from .norm import BATCH_NORM, LAYER_NORM, SPATIAL_BATCH_NORM

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        CONV2D,
        MAX_POOL2D,
        AVG_POOL2D,
        BATCH_NORM,
        SPATIAL_BATCH_NORM,
        LAYER_NORM,
        LRN,
        LINEAR,
        RELU,
        DROPOUT,
        SOFTMAX_LOSS,
        SVM_LOSS,
    )
}
