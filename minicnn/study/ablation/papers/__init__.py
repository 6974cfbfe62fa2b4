"""One file per claim; `claims()` has all of them by name."""

from ....errors import brief
from ....text import hint
from ..claim import Claim
from . import (
    batch_norm,
    depth,
    dropout,
    inception,
    lrn,
    overlapping_pooling,
    preactivation,
    relu,
    shortcuts,
)

ALL = (
    relu.CLAIM,
    lrn.CLAIM,
    overlapping_pooling.CLAIM,
    dropout.CLAIM,
    inception.CLAIM,
    batch_norm.CLAIM,
    depth.CLAIM,
    shortcuts.CLAIM,
    preactivation.CLAIM,
)


def claims() -> dict[str, Claim]:
    """All claims by name, in the order of their papers."""
    return {claim.name: claim for claim in ALL}


def claim(name: str) -> Claim:
    """The claim of that name. Raises ValueError that lists similar names."""
    known = claims()
    if name not in known:
        meant = hint(name, known, f"known are {', '.join(known)}")
        raise ValueError(f"there is no ablation {brief(name)}; {meant}")
    return known[name]
