"""Whether a run is where the published result of its recipe says that it should be."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import registry
from ..errors import CheckpointError
from .results import MEASURES, SEED, Result, has_same_images, measured, results
from .runs import Run, shown_values

IMAGES = ("data", "test data", "validation data")  # the settings that identify images
OFF: tuple = (None, "None", False, 0, "", [], {})  # what a setting is for runs that do not have it
# How files became pixels; the pixels themselves are compared.
FROM_FILES = re.compile(r", (image_size|fit|orient|light_on_dark)=('[^']*'|\([^)]*\)|\w+)")
TITLES = {"train_loss": "training loss", "test_error": "test error"}


@dataclass(frozen=True)
class Departure:
    """Where a run first left the band: the epoch, the measure, its value, and the band there."""

    epoch: int
    measure: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (_shown(self.measure, v) for v in (self.value, self.low, self.high))
        return (
            f"in epoch {self.epoch} its {TITLES[self.measure]} is {value}; expected {low} to {high}"
        )


@dataclass(frozen=True)
class Verdict:
    """A run beside the published result with its settings.

    left: where it first left the band, or None while it is inside.
    """

    run: Run
    result: Result
    left: Departure | None

    @property
    def is_inside(self) -> bool:
        """True if the run is inside the band in all epochs so far."""
        return self.left is None

    def __str__(self) -> str:
        done, whole, result = self.run.epochs, self.result.epochs, self.result
        seeds = f"{len(result.runs)} seeds" if len(result.runs) > 1 else "1 seed"
        name = f"the band of {result.name} ({seeds})"
        if self.left:
            return f"{self.run.path}: outside {name}: {self.left}"
        if done < whole:
            return f"{self.run.path}: inside {name} so far, after {done} of {whole} epochs"
        return f"{self.run.path}: inside {name} in all {whole} epochs"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            "run": str(self.run.path),
            "result": self.result.name,
            "inside": self.is_inside,
            "epochs": self.run.epochs,
            "planned_epochs": self.result.epochs,
            "left": vars(self.left) if self.left else None,
        }


def check(run: Run, known: Sequence[Result] | None = None) -> Verdict:
    """Compare a run, finished or not, with the published result that has its settings.

    known: the results to choose from; by default all that are published.
    Raises CheckpointError if no result has these settings and images.
    """
    result = find_expected(run, known)
    for row in (row for row in run.history.rows if row["epoch"] <= result.epochs):
        for measure in MEASURES:
            value, e = measured(row, measure), row["epoch"]
            low, high = (result.band[measure][end][e - 1] for end in ("low", "high"))
            if not low <= value <= high:
                return Verdict(run, result, Departure(e, measure, value, low, high))
    return Verdict(run, result, None)


def find_expected(run: Run, known: Sequence[Result] | None = None) -> Result:
    """The published result with the settings and images of that run.

    Raises CheckpointError that names the nearest one and what is different.
    """
    if not run.configuration:
        raise CheckpointError(f"{run.path}: only its curves are known, not its settings")
    if "engine" in run.configuration:
        raise CheckpointError(
            f"{run.path}: it is a run of {run.configuration['engine']}; expected one of minicnn"
        )
    network = run.configuration.get("model")
    own = [r for r in (results() if known is None else known) if r.network == network]
    if not own:
        raise CheckpointError(
            f"{run.path}: there is no published result of {network or 'this network'}; "
            "`minicnn results` lists those that exist"
        )
    nearest = min(own, key=lambda r: len(differing(run, r)))
    found = differing(run, nearest)
    if not found:
        return nearest
    settings = []
    for name, values in found.items():
        here, there = shown_values(values)
        settings.append(f"{name} is {here or None}, there {there or None}")
    if found.keys() <= set(IMAGES):
        raise CheckpointError(
            f"{run.path}: its images are not those of {nearest.name}, and only the same pixels "
            f"give the same numbers (a lossy copy such as JPEG does not): {'; '.join(settings)}"
        )
    raise CheckpointError(
        f"{run.path}: no published result has its settings; from the nearest, {nearest.name}, it "
        f"differs in {len(found)}: {'; '.join(settings)}"
    )


def differing(run: Run, result: Result) -> dict[str, list[Any]]:
    """The settings that are not the same, the seed aside, with the run's value and the result's.

    Of data sets only the pixels count, not their name and files. Options that are not given have
    their defaults. A setting that one side does not have is the same if it is off on the other.
    """
    ours, theirs = _with_all_options(run.configuration), _with_all_options(result.configuration)
    values = {name: [ours.get(name), theirs.get(name)] for name in {**ours, **theirs}}
    return {name: v for name, v in values.items() if name != SEED and not _is_same(name, *v)}


def _with_all_options(configuration: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of those of the network's options that are not given."""
    if configuration["model"] not in registry.names():
        return configuration
    parameters = inspect.signature(registry.entry(configuration["model"]).build).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    return configuration | {"options": defaults | configuration.get("options", {})}


def _is_same(name: str, a: Any, b: Any) -> bool:
    if name in IMAGES and a and b:
        return has_same_images(a, b)
    if name == "preprocess" and a and b:
        return FROM_FILES.sub("", a) == FROM_FILES.sub("", b)
    return a == b or (a in OFF and b in OFF)


def _shown(measure: str, value: float) -> str:
    return f"{value:.2%}" if measure == "test_error" else f"{value:.4g}"
