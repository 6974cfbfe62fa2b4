"""Tools that show how a network is made and how it works."""

from .gradcheck import check_gradients
from .probe import probe
from .summary import Summary, summarize

__all__ = ["Summary", "check_gradients", "probe", "summarize"]
