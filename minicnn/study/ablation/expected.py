"""Whether the runs of an ablation are inside the bands of the published one."""

from collections.abc import Sequence

from ..expected import IMAGES, Departure
from ..results import has_same_images
from .ablation import Ablation, Trial, published


def compare_with_published(found: Ablation, known: Sequence[Ablation] | None = None) -> list[str]:
    """A sentence on how many runs are inside, and one per run that left the band.

    Only variants with the settings and images of the published runs are compared; without any, the
    result is empty. known: the published ablations; by default those of the package.
    """
    same = [k for k in (published() if known is None else known) if k.name == found.name]
    lines, inside = [], 0
    for name in [v for v in found.trials if same and _has_same_settings(found, same[0], v)]:
        for trial in found.trials[name]:
            left = _departure(trial, same[0].band[name])
            inside += left is None
            if left:
                lines.append(f"{name}, seed {trial.seed}: outside the published band: {left}")
    if not lines and not inside:
        return []
    return [f"{inside} of {inside + len(lines)} runs are inside the published bands", *lines]


def _has_same_settings(found: Ablation, other: Ablation, name: str) -> bool:
    """True if that variant has a published band, which belongs to the same settings and images."""
    ours, theirs = (a.configurations.get(name, {}).copy() for a in (found, other))
    pairs = [(ours.pop(key, None), theirs.pop(key, None)) for key in IMAGES]
    same_images = all(has_same_images(a, b) if a and b else a == b for a, b in pairs)
    return bool(other.band.get(name)) and bool(ours) and ours == theirs and same_images


def _departure(trial: Trial, band: dict[str, dict[str, list[float]]]) -> Departure | None:
    """Where the run first left the band."""
    for measure, ends in band.items():
        rows = zip(trial.curves[measure], ends["low"], ends["high"], strict=False)
        for epoch, (value, low, high) in enumerate(rows, start=1):
            if not low <= value <= high:
                return Departure(epoch, measure, value, low, high)
    return None
