"""Train every variant of a claim with every seed, in run folders that can be resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import data, rng
from ...data import Splits
from ...errors import DataError, DivergedError
from ...layers.init import skip_init
from ...training.fitting import fit
from ...training.history import FILE as HISTORY
from ...training.history import History
from ..compare import duration
from ..results import SEED, band_ends, rounded
from ..runs import read_run
from ..summary import summarize
from .ablation import FILE, Ablation, Trial
from .claim import Claim, Variant
from .networks import SHAPE


def load_data(source: str, limit: int, report: Callable[[str], object] = print) -> Splits:
    """The training and test set, each of at most `limit` images, as the networks here read them."""
    found = data.load_splits(source, data.Decode(SHAPE[:2]), report).limited(limit)
    if found.train.labels.ndim != 1:
        raise DataError(f"{source}: its images have several classes each; expected one")
    return found


def ablate(
    claim: Claim,
    sets: Splits,
    out: Path,
    *,
    seeds: int = 3,
    epochs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
    report: Callable[[str], object] = print,
) -> Ablation:
    """Train all variants with the seeds 0, 1, ... and put the result together.

    The runs are in `out/VARIANT/SEED`. With the same seed, all variants see the same images in the
    same order, and networks with the same parameters start from the same weights.
    resume: finish the runs that are there. Also writes `ablation.json` into `out`.
    Raises KeyboardInterrupt if it is interrupted; TrainingError if there are runs and `resume` is
    not set; CheckpointError if the runs there have other settings.
    """
    epochs = claim.epochs if epochs is None else epochs
    total, done = seeds * len(claim.variants), 0
    trials: dict[str, list[Trial]] = {name: [] for name in claim.variants}
    for seed in range(seeds):
        for name, variant in claim.variants.items():
            done += 1
            report(f"run {done} of {total}: {name}, seed {seed}")
            folder = out / name / str(seed)
            trial = _trial(variant, sets, folder, seed, epochs, device, resume, progress)
            trials[name].append(trial)
            report(f"  {_told(trial)}")
    found = _put_together(claim, sets, epochs, trials, out)
    (out / FILE).write_text(found.to_json(), encoding="utf-8")
    return found


def _trial(
    variant: Variant,
    sets: Splits,
    folder: Path,
    seed: int,
    epochs: int,
    device: str,
    resume: bool,
    progress: bool,
) -> Trial:
    """Train one variant with one seed, or finish that run, and read it back."""
    classes, failure = len(sets.train.classes), None
    rng.seed(seed)
    network = variant.build(classes)
    network.to(device)
    settings: dict[str, Any] = {"recipe": variant.recipe, "epochs": epochs, "seed": seed}
    settings |= {"out": folder, "resume": resume, "progress": progress}
    try:
        if fit(network, sets.train, sets.test, **settings).interrupted:
            raise KeyboardInterrupt
    except DivergedError as error:
        failure = str(error)
    rows = History.read(folder).rows if (folder / HISTORY).exists() else []
    curves = {
        "train_error": [1 - row["train_accuracy"] for row in rows],
        "test_error": [1 - row["test_accuracy"] for row in rows],
        "train_loss": [row["train_loss"] for row in rows],
        "test_loss": [row["test_loss"] for row in rows],
    }
    return Trial(
        seed,
        {name: rounded(values) for name, values in curves.items()},
        round(sum(row["seconds"] for row in rows), 1),
        _macs(variant, classes),
        classes,
        failure,
    )


def _macs(variant: Variant, classes: int) -> int:
    with skip_init():
        return summarize(variant.build(classes)).macs


def _told(trial: Trial) -> str:
    """A finished run in one line."""
    if trial.failure:
        return f"failed, and counts as guessing: {trial.failure}"
    train, test = trial.final("train_error"), trial.final("test_error")
    return f"training error {train:.2%}, test error {test:.2%}, {duration(trial.seconds)}"


def _put_together(
    claim: Claim, sets: Splits, epochs: int, trials: dict[str, list[Trial]], out: Path
) -> Ablation:
    settings = {
        "data": sets.train.source or sets.train.name,
        "training images": len(sets.train),
        "test images": len(sets.test),
        "epochs": epochs,
    }
    configurations = {
        name: _configuration(out / name / str(done[0].seed)) for name, done in trials.items()
    }
    bands = {name: _bands(done, len(sets.test)) for name, done in trials.items()}
    return Ablation(claim.name, settings, trials, configurations, bands)


def _configuration(folder: Path) -> dict[str, Any]:
    """The settings of a run without its seed; none of one that ended in its first epoch."""
    if not (folder / HISTORY).exists():
        return {}
    return {k: v for k, v in read_run(folder).configuration.items() if k != SEED}


def _bands(trials: list[Trial], images: int) -> dict[str, dict[str, list[float]]]:
    """The bands of a variant; none if a run failed, or if one short run has no spread."""
    epochs = len(trials[0].curves["test_error"])
    if any(trial.failure for trial in trials) or (len(trials) == 1 and epochs < 3):
        return {}
    table = [{"curves": trial.curves} for trial in trials]
    return {
        "train_loss": band_ends(table, "train_loss"),
        "test_error": band_ends(table, "test_error", images),
    }
