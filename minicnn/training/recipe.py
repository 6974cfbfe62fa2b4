"""Training recipes: the settings with which a paper trained its network."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .. import registry
from ..data.augment import Pipeline
from ..data.transforms import Augment, Preprocess
from ..errors import brief
from ..layers import Layer, metadata
from .averaging import Average
from .callbacks import Callback
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import Constant, Schedule


@dataclass(frozen=True)
class Recipe:
    """The settings with which a network is trained: those of `training.fit` that are not given.

    source: the paper or file with these settings. data: the data set they are for.
    preprocess: from pixels to the network's input; None if the data is the input.
    optimizer: a name in `training.optimizers.OPTIMIZERS`, with its `options`.
    lr: the base learning rate.
    epochs: their number; 9.9 is as good as 10. drop_last: leave out the smaller last batch.
    bias_lr, bias_decay: multipliers for biases (Caffe's model zoo: 2 and 0).
    multipliers: multipliers (of the learning rate, of the weight decay) for the parameters whose
        names match a pattern, such as "*.norm1.bias"; the first that matches counts, and replaces
        those for biases.
    average: an `EMA` or `Lookahead` of the weights, or None.
    loss: the loss in training, a `training.Loss`; None: the network's.
    callbacks: callbacks that belong to the method, such as a limit of the weights.
    """

    source: str
    preprocess: Preprocess | None
    epochs: float
    batch_size: int
    lr: float
    data: str = "mnist"
    optimizer: str = "sgd"
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Constant)
    augment: Augment | None = None
    bias_lr: float = 1.0
    bias_decay: float = 1.0
    multipliers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drop_last: bool = False
    average: Average | None = None
    loss: Any = None
    callbacks: tuple[Callback, ...] = ()

    def pipeline(self, shape: tuple[int, ...]) -> Pipeline:
        """Its augmentation for a network that reads `(H, W, C)`."""
        return Pipeline.of(self.augment).for_input(shape)

    @property
    def cuts_windows(self) -> bool:
        """True if its augmentation begins with windows of the original images."""
        return Pipeline.of(self.augment).cuts_windows

    def summary(self, shape: tuple[int, ...]) -> str:
        """Its source, and what it does to images for a network that reads `(H, W, C)`."""
        return f"recipe: {self.source}\nimages: {self.pipeline(shape)}"

    def make_optimizer(self, model: Layer, lr: float | None = None, **options: Any) -> Optimizer:
        """The optimizer for that model, with the recipe's multipliers for its parameters.

        lr, options: arguments in place of the recipe's.
        They multiply the parameters' own: a bias with `lr_multiplier = 0` stays frozen.
        """
        rule: Any = OPTIMIZERS[self.optimizer]
        rate = self.lr if lr is None else lr
        optimizer = rule(model.parameters(), lr=rate, **self.options | options)
        optimizer.multipliers = [self.multiplier(name) for name, _ in model.named_parameters()]
        return optimizer

    def multiplier(self, name: str) -> tuple[float, float]:
        """The factors of the learning rate and of the weight decay for the parameter `name`."""
        for pattern, factors in self.multipliers.items():
            if fnmatchcase(name, pattern):
                return factors
        is_bias = name.rpartition(".")[2] == "bias"
        return (self.bias_lr, self.bias_decay) if is_bias else (1.0, 1.0)

    def make_schedule(self) -> Schedule:
        """A copy of the schedule: its state belongs to one run."""
        return deepcopy(self.schedule)

    def make_callbacks(self) -> list[Callback]:
        """Copies of the callbacks: their state belongs to one run."""
        return deepcopy(list(self.callbacks))


# What `fit` uses for a network without a recipe.
DEFAULTS = Recipe("the defaults of fit", None, 10, 64, lr=0.01, options={"momentum": 0.9})


def choose_recipe(model: Layer, data: str, recipe: Recipe | str | None = None) -> Recipe:
    """The recipe for training that model on the data set named `data`.

    recipe: a Recipe, or the name of one of the network's recipes. Without it: the model's own, and
    if that is its network's default, the one that the network has for this data set, if any.
    `DEFAULTS` for a network without a recipe.
    Raises ValueError for an unknown name.
    """
    if isinstance(recipe, Recipe):
        return recipe
    about = metadata(model)
    if about.name not in registry.names():
        if recipe is not None:
            raise ValueError(
                f"recipe={brief(recipe)}: a network that is not registered has no recipes by name; "
                "expected a Recipe"
            )
        return about.recipe or DEFAULTS
    entry = registry.entry(about.name)
    if recipe is not None:
        return entry.recipe(recipe)
    is_default = about.recipe is entry.recipe("default")
    return entry.recipe(None, data) if is_default else about.recipe or DEFAULTS
