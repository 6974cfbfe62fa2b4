"""The architecture of a network as a picture.

`tree` reads the network into nodes, with the words of `labels`; `layout` gives every node its
place, `draw` makes the picture.
"""

from .draw import graph

__all__ = ["graph"]
