"""Runs on disk, as their folders show them, whichever engine has written them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ..checks import is_number
from ..errors import CheckpointError, brief
from ..text import portable
from ..training import config_file
from ..training.checkpoint import LAST, STATE
from ..training.history import History, score
from ..weights import safetensors

CONFIGURATION = "configuration.json"
MULTIPLIERS = "multipliers of (lr, weight_decay)"  # their names are those of the parameters


@dataclass(frozen=True)
class Run:
    """A run read back: its folder or CSV file, a short label, and its history.

    configuration: its settings by name, among them `epochs`, the planned number; empty if unknown.
    about: name, recipe and more of its network, as its checkpoint has them; empty if unknown.
    parameters: the number of trained weights, or None if unknown.
    """

    path: Path
    label: str
    history: History
    configuration: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return self.history.rows[-1]["epoch"]

    @property
    def planned_epochs(self) -> int | None:
        """The epochs of a whole run, of which the last may be a part; None if unknown."""
        epochs = self.configuration.get("epochs")
        return None if epochs is None else math.ceil(epochs)

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch, by the metric of the run; the first of equal ones."""
        metric = self.configuration.get("metric")
        return max(self.history.rows, key=lambda row: score(row, metric))

    @property
    def seconds(self) -> float:
        """The time spent on training steps."""
        return sum(seconds for seconds in self.history.column("seconds") if seconds)

    def errors(self, split: str = "test") -> list[float | None]:
        """The error rate per epoch of "train", "validation" or "test"; None without that set."""
        accuracies = self.history.column(f"{split}_accuracy")
        return [None if a is None else 1 - a for a in accuracies]


def read_run(path: str | PathLike[str], label: str | None = None) -> Run:
    """The run in a folder, finished or not; or only its curves, from a `history.csv`.

    Raises CheckpointError that names the folder and what is missing or damaged.
    """
    path = Path(path)
    history = History.read(path)
    run = Run(path, label or portable(str(path)), history)
    if (path / LAST).exists():
        return _from_checkpoint(run)
    if (path / config_file.FILE).exists():
        file = path / config_file.FILE
        settings = _checked(file, config_file.read(file).get("settings", {}))
        return Run(run.path, run.label, run.history, simplified(settings))
    if (path / CONFIGURATION).exists():
        return _from_configuration(run)
    return run


def _from_checkpoint(run: Run) -> Run:
    path = run.path / LAST
    shapes, metadata = safetensors.read_header(path)
    try:
        state = json.loads(metadata[STATE])
        configuration = state["configuration"] | {"epochs": state["epochs"]}
        trained = configuration[MULTIPLIERS]
        about = json.loads(metadata.get(safetensors.MODEL, "{}"))
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{path}: it has no settings of a training run") from None
    parameters = sum(math.prod(shapes[name]) for name in trained if name in shapes)
    return Run(run.path, run.label, run.history, simplified(configuration), about, parameters)


def simplified(configuration: dict[str, Any]) -> dict[str, Any]:
    """The settings with only those multipliers that are not 1, as in a run's `config.toml`.

    That file leaves empty tables out, too.
    """
    multipliers = configuration.get(MULTIPLIERS, {})
    others = {name: factors for name, factors in multipliers.items() if factors != [1.0, 1.0]}
    return {"options": {}} | configuration | {MULTIPLIERS: others}


def _from_configuration(run: Run) -> Run:
    path = run.path / CONFIGURATION
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    return Run(run.path, run.label, run.history, _checked(path, configuration))


def _checked(path: Path, settings: Any) -> dict[str, Any]:
    """The settings, of which some are calculated with. Raises CheckpointError for others."""
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: it has {brief(settings)} in place of a table of settings")
    epochs = settings.get("epochs")
    if epochs is not None and not is_number(epochs, 0):
        raise CheckpointError(f"{path}: epochs is {brief(epochs)}; expected a number")
    for name in ("options", MULTIPLIERS):
        if not isinstance(settings.get(name, {}), dict):
            raise CheckpointError(f"{path}: {name} is {brief(settings[name])}; expected a table")
    return settings


def read_runs(paths: Sequence[str | PathLike[str]]) -> list[Run]:
    """Several runs, each with the part of its path that the others do not have as its label.

    Raises CheckpointError for a folder that is not a run, ValueError for one given twice.
    """
    given = [Path(path) for path in paths]
    places = [path.resolve() for path in given]
    for path, place in zip(given, places, strict=True):
        if places.count(place) > 1:
            raise ValueError(f"{path}: the same run is given twice")
    return [read_run(path, label) for path, label in zip(given, _labels(places), strict=True)]


def _labels(places: list[Path]) -> list[str]:
    """The paths without the folders that they share, with `/` between the rest."""
    shared = 0
    while len(places) > 1 and len({place.parts[: shared + 1] for place in places}) == 1:
        shared += 1
    shortest = min(len(place.parts) for place in places)
    kept = min(shared, shortest - 1) if len(places) > 1 else shortest - 1
    return [portable("/".join(place.parts[kept:])) for place in places]


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, each with its value per run.

    None stands for a setting that a run does not have. Of runs of several engines, which write down
    other things, only what all have is compared.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.configuration))
    if len({run.configuration.get("engine") for run in runs}) > 1:
        common = set(names).intersection(*(run.configuration for run in runs))
        names = [name for name in names if name in common or name == "engine"]
    found = {name: [run.configuration.get(name) for run in runs] for name in names}
    return {name: values for name, values in found.items() if any(v != values[0] for v in values)}


def shown_values(values: Sequence[Any]) -> list[str]:
    """The values of one setting as short text: of tables and texts only the parts that differ."""
    if any(isinstance(value, dict) for value in values):
        return [_differing_parts(value, values) for value in values]
    if any("\n" in str(value) for value in values):
        lines = [[line.strip() for line in str(value).split("\n")] for value in values]
        common = set(lines[0]).intersection(*lines[1:])
        return [_first([line for line in own if line not in common], "; ") for own in lines]
    return ["" if value is None else str(value) for value in values]


def _differing_parts(value: Any, values: Sequence[Any]) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    tables = [v if isinstance(v, dict) else {} for v in values]
    parts = [
        f"{key}={part}" for key, part in value.items() if any(t.get(key) != part for t in tables)
    ]
    return _first(parts, ", ")


def _first(parts: list[str], separator: str, count: int = 3) -> str:
    more = f"{separator}and {len(parts) - count} more" if len(parts) > count else ""
    return separator.join(parts[:count]) + more
