"""Tools that show how a network is made and how it works."""

from .check import check, check_file
from .compare import Comparison, compare
from .gradcheck import GradientCheck, check_gradients
from .probe import LayerStats, probe
from .summary import Summary, summarize

__all__ = [
    "Comparison",
    "GradientCheck",
    "LayerStats",
    "Summary",
    "check",
    "check_file",
    "check_gradients",
    "compare",
    "probe",
    "summarize",
]
