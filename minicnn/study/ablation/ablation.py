"""The result of a claim that was run again: the runs, their measures, and the verdicts."""

import fnmatch
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from statistics import mean
from typing import Any

from ...errors import CheckpointError, brief
from ..results import one_line_per_list
from .claim import Claim, Measure, Statement
from .papers import claim as find_claim
from .verdict import Outcome, Verdict, judge

FORMAT = 1
FILE, PICTURE = "ablation.json", "ablation.png"
CURVES = ("train_error", "test_error", "train_loss", "test_loss")


@dataclass(frozen=True)
class Trial:
    """One run: a variant with a seed.

    curves: per name in `CURVES`, one value per finished epoch. seconds: of training steps.
    macs: multiply-accumulates per image. classes: their number.
    failure: the error that ended the run, a loss or weights that are not finite, or None. Such a
    network guesses: its error is 1 - 1 / classes and its loss log(classes).
    """

    seed: int
    curves: dict[str, list[float]]
    seconds: float
    macs: int
    classes: int
    failure: str | None = None

    def final(self, curve: str) -> float:
        """The last value of a curve, or that of guessing."""
        if self.failure is None:
            return self.curves[curve][-1]
        return 1 - 1 / self.classes if curve.endswith("error") else math.log(self.classes)


@dataclass(frozen=True)
class Ablation:
    """A claim that was run again.

    settings: `data`, the numbers of `training images` and `test images`, `epochs`.
    trials: per variant, one `Trial` per seed. configurations: per variant, all settings of its runs
    without the seed. band: per variant and measure the lists `low` and `high` between which a
    further seed is expected, see `minicnn.study.bands`; empty if a run failed, or for a run too
    short. environment: commit, machine and versions; empty unless it is published.
    """

    name: str
    settings: dict[str, Any]
    trials: dict[str, list[Trial]]
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    band: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def claim(self) -> Claim:
        """What was run again."""
        return find_claim(self.name)

    @property
    def seeds(self) -> list[int]:
        """The seeds of all variants."""
        return [trial.seed for trial in next(iter(self.trials.values()))]

    def values(self, variant: str, measure: Measure) -> list[float]:
        """The measure of that variant, one value per seed."""
        return [measure.of(trial) for trial in self.trials[variant]]

    def verdicts(self) -> Iterator[tuple[Statement, Verdict]]:
        """Every statement of the claim with its verdict."""
        for statement in self.claim.statements:
            measure = statement.measure
            yield (
                statement,
                judge(
                    *(self.values(name, measure) for name in self.sides(statement)),
                    margin=statement.margin,
                    limit=self.settings["epochs"] if measure.reached else None,
                    exact=measure.exact,
                ),
            )

    def sides(self, statement: Statement) -> tuple[str, str]:
        """The two variants that are compared: of a pattern, the one with the lowest mean."""

        def best(pattern: str) -> str:
            names = fnmatch.filter(self.trials, pattern)
            return min(names, key=lambda name: self._mean(name, statement.measure))

        return best(statement.lower), best(statement.higher)

    def _mean(self, name: str, measure: Measure) -> float:
        """The mean over the seeds, in which a run that did not reach it counts as all epochs."""
        return mean(
            min(v, self.settings["epochs"]) if measure.reached else v
            for v in self.values(name, measure)
        )

    def sentence(self, statement: Statement, verdict: Verdict) -> str:
        """The verdict with the numbers behind it."""
        measure, text = statement.measure, f"{verdict.outcome}"
        lower, higher = self.sides(statement)
        if verdict.reason:
            text += f": {verdict.reason}"
        if verdict.difference is None or not (verdict.difference or verdict.half_width):
            return text
        text += ";" if verdict.reason else ":"
        if not verdict.difference:
            return f"{text} {lower} and {higher} have the same mean"
        side = "below" if verdict.difference > 0 else "above"
        size = measure.difference(abs(verdict.difference))
        size = f"at least {size}" if verdict.at_least else size
        text += f" {lower} is {size} {side} {higher}"
        if verdict.half_width:
            ends = sorted(abs(verdict.difference) + s * verdict.half_width for s in (-1, 1))
            low, high = (measure.difference(end).removesuffix(" points") for end in ends)
            text += f" (95 % interval {low} to {high})"
        if measure.reached and verdict.outcome is not Outcome.UNDECIDED:
            text += f", {self._ratio(statement, verdict)}"
        return text

    def _ratio(self, statement: Statement, verdict: Verdict) -> str:
        """How many times as long the slower variant takes."""
        times = {name: self._mean(name, statement.measure) for name in self.sides(statement)}
        slower, faster = max(times, key=times.__getitem__), min(times, key=times.__getitem__)
        least = "at least " if verdict.at_least else ""
        return f"{slower} takes {least}{times[slower] / times[faster]:.2g} times as long"

    def to_json(self) -> str:
        """All of it as JSON, with each curve in one line; `verdicts` are there for the reader."""
        told = [
            {
                "statement": str(s),
                "paper": s.paper,
                "found": self.sentence(s, v),
            }
            for s, v in self.verdicts()
        ]
        contents = {"format": FORMAT, **asdict(self), "verdicts": told}
        return one_line_per_list(json.dumps(contents, indent=1)) + "\n"


def from_json(text: str) -> Ablation:
    """The inverse of `to_json`. Raises ValueError or KeyError for other contents."""
    contents = json.loads(text)
    found = contents.pop("format")
    if found != FORMAT:
        raise ValueError(f"its format is {brief(found)}; this version of minicnn reads {FORMAT}")
    del contents["verdicts"]  # they follow from the trials
    contents["trials"] = {
        name: [Trial(**trial) for trial in trials] for name, trials in contents["trials"].items()
    }
    return Ablation(**contents)


def read_ablation(path: Path) -> Ablation:
    """The result in a file, or in a folder of `minicnn ablate`. Raises CheckpointError."""
    file = path / FILE if path.is_dir() else path
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: it does not exist; `minicnn ablate` writes it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: it is not the result of an ablation: {error}") from None


def published() -> list[Ablation]:
    """The results in the package `minicnn.results.ablations`, by name."""
    folder = resources.files("minicnn.results.ablations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return [from_json(file.read_text(encoding="utf-8")) for file in files]
