"""The parallel paths in a graph of layers: where they begin, and where a layer joins them again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

Reads = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fork:
    """Paths that begin at one layer, in the order in which `join` reads them; () is no layer."""

    paths: tuple[tuple["Item", ...], ...]
    join: str


@dataclass(frozen=True)
class Tangle:
    """Layers, in order, whose paths cross each other: they are not parallel."""

    layers: tuple[str, ...]


Item = Union[str, Fork, Tangle]  # noqa: UP007 - the name of a layer in a string has no `|`


def regions(reads: Reads, start: str) -> tuple[Item, ...]:
    """Layers, forks and tangles in order.

    reads: for each layer, in the order of computation, what it reads: layers, or `start`.
    """
    items: list[Item] = []
    current, group = start, list[str]()
    for name in reads:
        open_ends = {current, *group}
        others = (n for n in reads if n not in group and n != name)
        if any(open_ends & {*reads[n]} for n in others):
            group.append(name)  # another layer reads one of these, too: the paths go on
            continue
        items += _joined(reads, current, group, name) if group else [name]
        current, group = name, []
    return tuple(items)


def _joined(reads: Reads, start: str, group: list[str], join: str) -> list[Item]:
    """The layers from `start` on to `join`: parallel paths, or a tangle."""
    parts = _components(reads, group)
    tangle: list[Item] = [Tangle((*group, join))]
    if len(parts) == 1 and start not in reads[join]:
        return tangle
    paths: list[tuple[Item, ...]] = []
    for source in reads[join]:
        part = next((p for p in parts if source in p), None)
        if part is None:
            paths.append(())
        elif sum(s in part for s in reads[join]) > 1:
            return tangle
        else:
            inside = {name: reads[name] for name in part}
            paths.append(regions(inside | {join: (source,)}, start)[:-1])
    return [Fork(tuple(paths), join)]


def _components(reads: Reads, group: list[str]) -> list[list[str]]:
    """The layers of a group that are connected, each part in the order of the group."""
    label = {name: name for name in group}
    for name in group:
        for source in reads[name]:
            if source in label:
                old, new = label[name], label[source]
                label = {n: new if found == old else found for n, found in label.items()}
    parts: dict[str, list[str]] = {}
    for name, found in label.items():
        parts.setdefault(found, []).append(name)
    return list(parts.values())
