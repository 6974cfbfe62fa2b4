"""minicnn: convolutional networks with every layer written out by hand, forward and backward.

    import minicnn
    from minicnn import models, data, training

    model = models.create("lenet5")
    train, test = data.mnist()
    history = training.fit(model, train, test, epochs=3)
    minicnn.save(model, "lenet5.safetensors")

Three storeys: `minicnn.kernels` (the arithmetic), `minicnn` (layers, training, data),
`minicnn.models` (the papers).
"""

from . import data, errors, evaluation, layers, models, training
from ._version import __version__
from .device import set_precision, to_device, to_host, to_input
from .kernels.dispatch import get_num_threads, set_num_threads, use
from .kernels.thread_state import inference_mode, no_grad
from .prediction import Prediction, predict
from .registry import register
from .rng import seed
from .training.losses import softmax_cross_entropy
from .weights import load, save

__all__ = [
    "Prediction",
    "__version__",
    "data",
    "errors",
    "evaluation",
    "get_num_threads",
    "inference_mode",
    "layers",
    "load",
    "models",
    "no_grad",
    "predict",
    "register",
    "save",
    "seed",
    "set_num_threads",
    "set_precision",
    "softmax_cross_entropy",
    "to_device",
    "to_host",
    "to_input",
    "training",
    "use",
]
