"""Tools that show how a network is made and how it works."""

from .check import check, check_file
from .compare import Comparison, compare
from .difference import Difference, first_difference
from .explain import Explanation, explain
from .forecast import Forecast, forecast, largest_batch, what_if
from .gradcheck import GradientCheck, check_gradients
from .graph import graph
from .probe import LayerStats, probe
from .profile import Profile, profile
from .summary import Summary, summarize
from .trace import Record, Trace, trace

__all__ = [
    "Comparison",
    "Difference",
    "Explanation",
    "Forecast",
    "GradientCheck",
    "LayerStats",
    "Profile",
    "Record",
    "Summary",
    "Trace",
    "check",
    "check_file",
    "check_gradients",
    "compare",
    "explain",
    "first_difference",
    "forecast",
    "graph",
    "largest_batch",
    "probe",
    "profile",
    "summarize",
    "trace",
    "what_if",
]
