"""The papers' claims, run again on small data: the variants, the measures, and the verdicts.

`claim.py` says what a claim is, `papers/` has one file per claim, `training.py` trains the
variants, `verdict.py` decides, and `ablation.py` is the result.
"""

from .ablation import Ablation, Trial, read_ablation
from .claim import Claim, Measure, Statement, Variant
from .papers import claim, claims
from .training import ablate
from .verdict import Outcome, Verdict, judge

__all__ = [
    "Ablation",
    "Claim",
    "Measure",
    "Outcome",
    "Statement",
    "Trial",
    "Variant",
    "Verdict",
    "ablate",
    "claim",
    "claims",
    "judge",
    "read_ablation",
]
