"""Tools that show how a network is made and how it works."""

from .check import check, check_file
from .compare import Comparison, compare
from .difference import Difference, first_difference
from .gradcheck import GradientCheck, check_gradients
from .probe import LayerStats, probe
from .summary import Summary, summarize

__all__ = [
    "Comparison",
    "Difference",
    "GradientCheck",
    "LayerStats",
    "Summary",
    "check",
    "check_file",
    "check_gradients",
    "compare",
    "first_difference",
    "probe",
    "summarize",
]
