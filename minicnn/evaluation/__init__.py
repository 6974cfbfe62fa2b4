"""Testing by the papers' protocols: views of an image, averages, ensembles, predictions.

`training.evaluate` measures the loss and the accuracies during and after training. This package
makes predictions that can be kept: for each image the probabilities of all classes.
"""

from .predictions import Predictions
from .protocols import PROTOCOLS, Protocol
from .testing import evaluate

__all__ = ["PROTOCOLS", "Predictions", "Protocol", "evaluate"]
