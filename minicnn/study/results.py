"""Published results: what runs of a recipe gave, with bands in which further runs are expected.

They are the JSON files in the folder `results`, the package `minicnn.results`. Its README.md
describes them.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

import numpy as np

from ..errors import CheckpointError, brief
from .bands import band
from .runs import Run

FORMAT = 1
MEASURES = ("train_loss", "test_error")  # those with a band
SEED = "seed"  # the setting in which the runs of one result differ
DIGITS = 6


@dataclass(frozen=True)
class Result:
    """One published result.

    name: that of its file. network, recipe: their names. command: what its first run was started
    with. configuration: the settings of its runs, without the seed. environment: commit, machine
    and versions.
    runs: per seed `{"seed", "error", "seconds", "curves"}`: the final test error, and per measure
    one value per epoch; and "environment" if the run was added later in another one.
    band: per measure the lists `low` and `high`, one value per epoch; see `minicnn.study.bands`.
    torch: the same recipe on the same images in torch: `{"environment", "runs"}`, or None.
    paper: `{"error", "source"}`, or None.
    """

    name: str
    network: str
    recipe: str
    command: str
    configuration: dict[str, Any]
    environment: dict[str, Any]
    runs: list[dict[str, Any]]
    band: dict[str, dict[str, list[float]]]
    torch: dict[str, Any] | None = None
    paper: dict[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """The number of epochs of a whole run, of which the last may be a part."""
        return math.ceil(self.configuration["epochs"])

    @property
    def error(self) -> float:
        """The mean of the final test errors over the seeds."""
        return _mean(self.runs)

    @property
    def torch_error(self) -> float | None:
        """The mean of torch's final test errors, or None."""
        return _mean(self.torch["runs"]) if self.torch else None

    @property
    def final_band(self) -> tuple[float, float]:
        """The test errors between which a further whole run is expected to end."""
        ends = self.band["test_error"]
        return ends["low"][-1], ends["high"][-1]

    def to_json(self) -> str:
        """All of it as JSON, with each curve in one line."""
        return one_line_per_list(json.dumps({"format": FORMAT, **asdict(self)}, indent=1)) + "\n"


def one_line_per_list(text: str) -> str:
    """Indented JSON with each list of numbers in one line."""
    return re.sub(
        r'\[\s+([^][{}"]*?)\s+\]', lambda numbers: f"[{' '.join(numbers[1].split())}]", text
    )


def _mean(runs: Sequence[dict[str, Any]]) -> float:
    return sum(run["error"] for run in runs) / len(runs)


def results() -> list[Result]:
    """All published results, by name."""
    folder = resources.files("minicnn.results")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return [from_json(file.read_text(encoding="utf-8")) for file in files]


def from_json(text: str) -> Result:
    """The inverse of `to_json`. Raises ValueError for another format."""
    contents = json.loads(text)
    found = contents.pop("format")
    if found != FORMAT:
        raise ValueError(
            f"a result of format {brief(found)}; this version of minicnn reads {FORMAT}"
        )
    return Result(**contents)


def make_result(
    name: str,
    runs: Sequence[Run],
    environment: dict[str, Any],
    *,
    command: str = "",
    torch_runs: Sequence[Run] = (),
    paper: dict[str, Any] | None = None,
) -> Result:
    """Put finished runs of one recipe together, which differ only in their seeds.

    torch_runs: the same recipe in torch on the same images.
    Raises CheckpointError that names the run that is not finished or does not belong to the others.
    """
    first = runs[0]
    _check_same_settings(runs)
    _check_torch(torch_runs, first.epochs, first.configuration)
    _check_seeds(torch_runs, [])
    table = [_run(run) for run in runs]
    network, recipe = first.configuration["model"], first.about.get("recipe") or "default"
    source = first.configuration["data"].rsplit(", ", 2)[0]
    return Result(
        name=name,
        network=network,
        recipe=recipe,
        command=command or f"minicnn train {network} --data {source} --recipe {recipe} --seed 0",
        configuration={k: v for k, v in first.configuration.items() if k != SEED},
        environment=environment,
        runs=table,
        band=_bands(table, first.configuration),
        torch=_torch(torch_runs) if torch_runs else None,
        paper=paper,
    )


def add_runs(
    result: Result,
    runs: Sequence[Run],
    environment: dict[str, Any],
    torch_runs: Sequence[Run] = (),
) -> Result:
    """The result with runs of further seeds, and a band around all of them.

    Raises CheckpointError that names the run that is not finished or does not belong to the others.
    """
    _check_same_settings(runs, result.configuration, [run[SEED] for run in result.runs])
    _check_torch(torch_runs, result.epochs, result.configuration)
    before = result.torch["runs"] if result.torch else []
    _check_seeds(torch_runs, [run[SEED] for run in before])
    table = [*result.runs, *_added(runs, environment, result.environment)]
    torch = result.torch
    if torch_runs:
        new = _torch(torch_runs)
        torch = torch or new | {"runs": []}
        more = _added(torch_runs, new["environment"], torch["environment"])
        torch = torch | {"runs": [*torch["runs"], *more]}
    return replace(result, runs=table, band=_bands(table, result.configuration), torch=torch)


def _added(
    runs: Sequence[Run], environment: dict[str, Any], first: dict[str, Any]
) -> list[dict[str, Any]]:
    own = {} if environment == first else {"environment": environment}
    return [_run(run) | own for run in runs]


def _bands(
    table: list[dict[str, Any]], settings: dict[str, Any]
) -> dict[str, dict[str, list[float]]]:
    images = image_count(settings["test data"])
    return {
        "train_loss": band_ends(table, "train_loss"),
        "test_error": band_ends(table, "test_error", images),
    }


def image_count(identity: str) -> int:
    """The number of images in a line of `training.configuration.identity`."""
    return int(identity.rsplit(", ", 2)[1].removesuffix(" images"))


def has_same_images(one: str, other: str) -> bool:
    """True if two such lines have the same number and hash, whatever the data sets are called."""
    return one.rsplit(", ", 2)[1:] == other.rsplit(", ", 2)[1:]


def measured(row: dict[str, Any], measure: str) -> float:
    """One of `MEASURES` in a row of the history."""
    return 1 - row["test_accuracy"] if measure == "test_error" else row[measure]


def band_ends(
    table: list[dict[str, Any]], measure: str, images: int | None = None
) -> dict[str, list[float]]:
    """The lists `low` and `high` of the band around the runs' curves of that measure."""
    low, _, high = band([run["curves"][measure] for run in table], images)
    return {"low": rounded(low), "high": rounded(high)}


def rounded(values: Sequence[float] | np.ndarray) -> list[float]:
    """The values with `DIGITS` digits, as the files have them."""
    return [float(f"{value:.{DIGITS}g}") for value in values]


def _run(run: Run) -> dict[str, Any]:
    curves = {m: rounded([measured(row, m) for row in run.history.rows]) for m in MEASURES}
    return {
        "seed": run.configuration[SEED],
        "error": curves["test_error"][-1],
        "seconds": round(run.seconds, 1),
        "curves": curves,
    }


def _check_same_settings(
    runs: Sequence[Run], settings: dict[str, Any] | None = None, seeds: Sequence[int] = ()
) -> None:
    """Raise CheckpointError unless these are whole runs with the same settings and other seeds.

    settings, seeds: those of a result to which they are added.
    """
    if not runs:
        return
    first = settings or runs[0].configuration
    wanted = "the published ones" if settings else runs[0].path
    for run in runs:
        here = run.configuration
        if "model" not in here or not here.get("test data"):
            raise CheckpointError(
                f"{run.path}: its checkpoint, with its settings and a test set, is needed"
            )
        if run.epochs != run.planned_epochs:
            raise CheckpointError(
                f"{run.path}: {run.epochs} of {run.planned_epochs} epochs are done"
            )
        other = [k for k in {**first, **here} if k != SEED and first.get(k) != here.get(k)]
        if other:
            raise CheckpointError(f"{run.path}: other settings than {wanted}: {other[0]}")
    _check_seeds(runs, seeds)


def _check_seeds(runs: Sequence[Run], seeds: Sequence[int]) -> None:
    """Raise CheckpointError if two runs have the same seed. seeds: those of earlier runs."""
    seeds = [*seeds, *(run.configuration[SEED] for run in runs)]
    if len(set(seeds)) < len(seeds):
        raise CheckpointError(f"{runs[-1].path}: the runs have the seeds {seeds}; expected others")


def _check_torch(torch_runs: Sequence[Run], epochs: int, settings: dict[str, Any]) -> None:
    """Raise CheckpointError unless torch's runs have the same length and the same images."""
    for run in torch_runs:
        if run.configuration.get("engine") != "torch":
            raise CheckpointError(f"{run.path}: expected a run of benchmarks/recipes.py")
        if run.epochs != epochs:
            raise CheckpointError(f"{run.path}: {run.epochs} epochs; expected {epochs}")
        for name in ("data", "test data"):
            if not has_same_images(run.configuration[name], settings[name]):
                raise CheckpointError(
                    f"{run.path}: {name} is {run.configuration[name]}; expected {settings[name]}"
                )


ENVIRONMENT = ("commit", "machine", "cores", "threads", "python", "numpy", "numba", "torch")


def _torch(runs: Sequence[Run]) -> dict[str, Any]:
    settings = runs[0].configuration
    environment = {key: settings[key] for key in ENVIRONMENT if settings.get(key) is not None}
    return {"environment": environment, "runs": [_run(run) for run in runs]}
