"""What a claim is: variants of a network, and statements about a measure of two of them."""

import fnmatch
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...layers import Network
from ...training.recipe import Recipe

if TYPE_CHECKING:
    from .ablation import Trial

DATA = "cifar10"


@dataclass(frozen=True)
class Variant:
    """One side of a comparison: `build(num_classes)` makes its network, `recipe` trains it."""

    build: Callable[[int], Network]
    recipe: Recipe


def at_rates(
    sides: Mapping[str, Callable[[int], Network]], recipe: Recipe, rates: Sequence[float]
) -> dict[str, Variant]:
    """The variants `SIDE-RATE`, of which `SIDE-*` is the best: each side has its own rate."""
    return {
        f"{side}-{rate}": Variant(build, replace(recipe, lr=rate))
        for side, build in sides.items()
        for rate in rates
    }


@dataclass(frozen=True)
class Measure:
    """A number that a finished run has, the lower the better.

    of: computes it from a `Trial`. unit: "%" for shares, which are shown in percent.
    exact: it is the same for all seeds. reached: it is the epoch in which something is reached;
    a run that does not reach it has the value inf, and differences are also told as ratios.
    """

    name: str
    of: "Callable[[Trial], float]"
    unit: str = ""
    exact: bool = False
    reached: bool = False

    def text(self, value: float) -> str:
        """The value as it is printed."""
        if math.isinf(value):
            return "not reached"
        if self.unit == "%":
            return f"{100 * value:.2f} %"
        return f"{value:,.0f}" if self.exact else f"{value:.3g}"

    def difference(self, value: float) -> str:
        """A difference of two values: of shares, in percentage points."""
        if self.unit == "%":
            return f"{100 * value:.2f} points"
        return f"{value:,.0f}" if self.exact else f"{value:.3g}"


@dataclass(frozen=True)
class Statement:
    """The measure of the variant `lower` is lower than that of `higher`.

    Either may be a pattern such as "relu-*", which stands for the best of these variants: if the
    learning rate of each side is its own, several are trained.
    paper: what the paper found there, with its numbers.
    margin: a tolerance; with one, `lower` is at most so much above `higher`.
    """

    lower: str
    higher: str
    measure: Measure
    paper: str
    margin: float = 0.0

    def __str__(self) -> str:
        name = self.measure.name
        lower, higher = (
            f"the best {variant}" if "*" in variant else variant
            for variant in (self.lower, self.higher)
        )
        if self.margin:
            most = self.measure.difference(self.margin)
            return f"{name} of {lower}: at most {most} above that of {higher}"
        return f"{name} of {lower}: below that of {higher}"


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, and how it is run again.

    title: the claim in one sentence. source: the paper with its section.
    setting: in what the runs here differ from the paper's.
    limit, epochs: the default size: training images and epochs. minutes: about how long three seeds
    take on two cores.
    """

    name: str
    title: str
    source: str
    setting: str
    variants: dict[str, Variant]
    statements: Sequence[Statement]
    limit: int
    epochs: int
    minutes: int

    def __post_init__(self) -> None:
        for statement in self.statements:
            for name in (statement.lower, statement.higher):
                if not fnmatch.filter(self.variants, name):
                    raise ValueError(f"{self.name}: {name} is not one of {list(self.variants)}")

    @property
    def measures(self) -> list[Measure]:
        """The measures of its statements, each once."""
        return list(dict.fromkeys(statement.measure for statement in self.statements))


TEST_ERROR = Measure("test error", lambda trial: trial.final("test_error"), "%")
TRAIN_ERROR = Measure("training error", lambda trial: trial.final("train_error"), "%")
TEST_LOSS = Measure("test loss", lambda trial: trial.final("test_loss"))
MACS = Measure("multiply-accumulates per image", lambda trial: trial.macs, exact=True)


@functools.cache  # so that two statements have the same measure
def epochs_to(train_error: float) -> Measure:
    """The epochs until the training error is at most so much; a line connects those of two epochs.

    The training error of an epoch is the mean over its batches, and counts at the epoch's end.
    """

    def of(trial: "Trial") -> float:
        return _first(trial.curves["train_error"], train_error)

    return Measure(f"epochs to {100 * train_error:g} % training error", of, reached=True)


def _first(errors: Sequence[float], level: float) -> float:
    for epoch, error in enumerate(errors, start=1):
        if error <= level:
            if epoch == 1:
                return 1.0
            before = errors[epoch - 2]
            return epoch - 1 + (before - level) / (before - error)
    return math.inf
