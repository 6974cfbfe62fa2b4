"""The same operation with some arrays in another shape: `(C,)` as `(1, C, 1, 1)`, and the like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ....kernels.types import Array
from ..case import Case, Fault, Form, Operation, Results

Change = Callable[[Array], Array]
Changes = Mapping[str, tuple[Change, Change]]  # the array's name -> there, and back
THERE, BACK = 0, 1


def vector_axes(*names: str) -> Changes:
    """Vectors `(C,)` as images `(1, 1, 1, C)` of one pixel."""
    return {name: (lambda a: a.reshape(1, 1, 1, -1), np.ravel) for name in names}


def reshaped(
    operation: Operation, changes: Changes, images: bool = True, axes: str = ""
) -> Operation:
    """The operation whose arrays, gradients included, have the changed shapes.

    "y" changes the output and dy. images: the changed arrays have the axes of images, too; if not,
    axes: the names of their axes.
    """
    way = _Way(operation, changes)
    names = {"y", "dy"} if "y" in changes else set()
    names |= {f"{d}{n}" for n in changes if n != "y" for d in ("", "d")}
    return replace(
        operation,
        cases=lambda generator: [way.case(THERE, c) for c in operation.cases(generator)],
        small=lambda: [way.case(THERE, c) for c in operation.small()],
        truth=way.truth,
        settle=way.settle,
        terms=way.terms,
        faults=tuple(map(way.fault, operation.faults)),
        more=tuple(map(way.fault, operation.more)),
        pairs=lambda: map(way.fault, operation.pairs()),
        images=operation.images + tuple(sorted(names)) if images else operation.images,
        filters=tuple(n for n in operation.filters if n not in names),
        axes=dict.fromkeys(names, axes.split()) if axes else {},
        forms=(),
    )


@dataclass(frozen=True)
class _Way:
    """From the operation's shapes to the other ones, and back."""

    operation: Operation
    changes: Changes

    def array(self, way: int, name: str, array: Array) -> Array:
        found = self.changes.get(name) or self.changes.get(name.removeprefix("d"))
        return found[way](array) if found else array

    def case(self, way: int, c: Case) -> Case:
        arrays = {name: self.array(way, name, a) for name, a in c.arrays.items()}
        return replace(c, arrays=arrays, dy=self.array(way, "y", c.dy))

    def results(self, way: int, found: Results) -> Results:
        return {name: self.array(way, name, a) for name, a in found.items()}

    def truth(self, c: Case, observed: Results) -> Results:
        plain = self.operation.truth(self.case(BACK, c), self.results(BACK, observed))
        right = self.results(THERE, plain)
        for name in right:  # a parameter's gradient in the plain shape is as good
            seen = observed.get(name, right[name])
            if name.startswith("d") and name != "dx" and seen.shape == plain[name].shape:
                right[name] = plain[name]
        return right

    def settle(self, c: Case, observed: Results) -> Case:
        plain = self.operation.settle(self.case(BACK, c), self.results(BACK, observed))
        return self.case(THERE, plain)

    def fault(self, own: Fault) -> Fault:
        def form(result: str, own: Form, c: Case) -> Array:
            plain = self.case(BACK, c)
            array, right = np.asarray(own(plain)), self.operation.right(plain)[result]
            return self.array(THERE, result, array) if array.shape == right.shape else array

        def change(own: Callable[[Case], Case], c: Case) -> Case:
            return self.case(THERE, own(self.case(BACK, c)))

        forms = {result: partial(form, result, f) for result, f in own.forms.items()}
        return replace(own, forms=forms, change=own.change and partial(change, own.change))

    def terms(self, c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
        back = self.results(BACK, right)
        places = np.arange(back[result].size).reshape(back[result].shape)
        place = int(self.array(THERE, result, places)[index])
        own = tuple(int(i) for i in np.unravel_index(place, places.shape))
        return self.operation.terms(self.case(BACK, c), result, own, back)
