"""Linear layers and LeNet-5's distances: the contract."""

from minicnn.layers import RBF, Linear
from minicnn.models.lenet import rbf_codes

from .contract import LayerContract


class TestLinear(LayerContract):
    cases = {
        "linear": (lambda: Linear(6, 5, activation="sigmoid"), (4, 6)),
        "linear, no bias": (lambda: Linear(6, 5, bias=False), (4, 6)),
        "RBF": (lambda: RBF(rbf_codes()), (3, 84)),
    }
