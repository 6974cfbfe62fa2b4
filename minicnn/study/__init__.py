"""Tools that show how a network is made and how it works."""

from .gradcheck import GradientCheck, check_gradients
from .probe import LayerStats, probe
from .summary import Summary, summarize

__all__ = ["GradientCheck", "LayerStats", "Summary", "check_gradients", "probe", "summarize"]
