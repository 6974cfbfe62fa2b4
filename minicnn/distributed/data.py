"""Data sets for several processes: the first one finds the images, and each reads its own."""

import pickle
from collections.abc import Callable
from typing import TypeVar

from .team import Team

T = TypeVar("T")


def shared(team: Team, load: Callable[[], T]) -> T:
    """What `load` returns at rank 0, for all ranks: only there files are listed or downloaded.

    Of images that stay files, only names, places and labels are sent, but of a compressed tar file
    its contents. What cannot be sent, such as a zip file of a rare compression that stays open,
    every rank loads by itself, after rank 0.
    """
    if team.size == 1:
        return load()
    found, packed = None, b""
    if team.is_first:
        found = load()
        try:
            packed = pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
        except (TypeError, AttributeError, pickle.PicklingError):
            packed = b""
    packed = team.first(lambda: packed)
    if team.is_first:
        return found  # type: ignore[return-value]
    return pickle.loads(packed) if packed else load()
