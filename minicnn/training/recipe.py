"""A training recipe as data: everything that a paper says about how its network was trained."""

from dataclasses import dataclass, field
from typing import Any

from ..data.transforms import Augment, Preprocess
from ..layers import Layer
from .callbacks import Callback
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import Constant, Schedule


@dataclass(frozen=True)
class Recipe:
    """How to train one network. Models carry theirs; `training.fit` takes from it whatever the caller does not give.

    source: where it is from. data: the data set it is meant for. preprocess: from pixels to the network's input.
    optimizer: a name in `training.optimizers.OPTIMIZERS`, with its `options`. lr: the base learning rate.
    bias_lr, bias_decay: multipliers for biases (Caffe's zoo: 2 and 0). callbacks: what else happens in its training loop.
    """

    source: str
    preprocess: Preprocess
    epochs: int
    batch_size: int
    lr: float
    data: str = "mnist"
    optimizer: str = "sgd"
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Constant)
    augment: Augment | None = None
    bias_lr: float = 1.0
    bias_decay: float = 1.0
    callbacks: tuple[Callback, ...] = ()

    def make_optimizer(self, model: Layer, lr: float | None = None) -> Optimizer:
        """The optimizer for that model, with the recipe's multipliers set on its biases."""
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[2] == "bias":
                parameter.lr_multiplier, parameter.weight_decay_multiplier = (
                    self.bias_lr,
                    self.bias_decay,
                )
        return OPTIMIZERS[self.optimizer](
            model.parameters(), lr=self.lr if lr is None else lr, **self.options
        )
