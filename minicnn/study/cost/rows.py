"""The rows of a profile, and how the layers of a block become one row."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

ROWS = 40  # of a table or picture, if blocks are folded


@dataclass(frozen=True)
class ProfileRow:
    """One layer, one folded block, or a part of the step that is in no layer.

    forward, backward: seconds, without those of layers with rows of their own. The floors are the
    least seconds for the same work: its multiply-adds at the peak of the machine, or its bytes at
    the bandwidth, whichever takes longer. flops, bytes: of forward and backward.
    held: bytes that are kept for backward.
    """

    name: str
    layer: str
    forward: float
    backward: float
    forward_floor: float
    backward_floor: float
    flops: int
    bytes: int
    held: int

    @property
    def seconds(self) -> float:
        """Of forward and backward."""
        return self.forward + self.backward

    @property
    def floor(self) -> float:
        """Of forward and backward, in seconds."""
        return self.forward_floor + self.backward_floor


def folded(rows: list[ProfileRow], most: int = ROWS) -> list[ProfileRow]:
    """At most about `most` rows: if there are more, the layers of a block are one row.

    Blocks are residual blocks and Inception modules. If these are too many, names such as
    layer1.0.conv1 are shortened from the end, part by part.
    """
    if len(rows) <= most:
        return rows
    names = [row.name for row in rows]
    blocks = [name for name in names if any(other.startswith(f"{name}.") for other in names)]

    def block(name: str) -> str:
        return min((b for b in blocks if f"{name}.".startswith(f"{b}.")), key=len, default=name)

    found = _grouped(rows, block)
    for depth in range(max(row.name.count(".") for row in found), 0, -1):
        if len(found) > most:
            found = _grouped(rows, partial(_first_parts, depth))
    return found


def _first_parts(depth: int, name: str) -> str:
    return ".".join(name.split(".")[:depth])


def _grouped(rows: list[ProfileRow], name_of: Callable[[str], str]) -> list[ProfileRow]:
    """Rows with the same `name_of` become one."""
    groups: dict[str, list[ProfileRow]] = {}
    for row in rows:
        groups.setdefault(name_of(row.name), []).append(row)
    return [_sum(name, group) if len(group) > 1 else group[0] for name, group in groups.items()]


def _sum(name: str, rows: list[ProfileRow]) -> ProfileRow:
    numbers = [f.name for f in fields(ProfileRow)[2:]]
    sums: dict[str, Any] = {n: sum(getattr(row, n) for row in rows) for n in numbers}
    return ProfileRow(name, f"{len(rows)} layers", **sums)
