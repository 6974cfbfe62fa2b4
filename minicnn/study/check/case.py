"""The records of the check: one geometry with its numbers, one faulty form, one operation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...kernels.types import Array

Results = dict[str, Array]  # "y", "dx", "dw", ... -> numbers


@dataclass(frozen=True, eq=False)
class Case:
    """One geometry: the input arrays, the settings, and the upstream gradient dy.

    Images are `(N, H, W, C)` and filters `(kH, kW, C, K)`, as everywhere in minicnn. An array or
    setting is also an attribute: `case.x`, `case.stride`.
    """

    arrays: Mapping[str, Array]
    settings: Mapping[str, Any] = field(default_factory=dict)
    dy: Array = field(default_factory=lambda: np.zeros(()))
    output: str = "y"  # what the result of the forward is called in this case

    def __getattr__(self, name: str) -> Any:
        for record in (self.__dict__.get("arrays", {}), self.__dict__.get("settings", {})):
            if name in record:
                return record[name]
        raise AttributeError(name)

    def but(self, **changes: Any) -> "Case":
        """The same case with other arrays, settings or dy."""
        arrays = {k: changes.pop(k, v) for k, v in self.arrays.items()}
        settings = {k: changes.pop(k, v) for k, v in self.settings.items()}
        return replace(self, arrays=arrays, settings=settings, **changes)


Form = Callable[[Case], Array]

# What code computes with that does not have these parameters.
NEUTRAL: dict[str, Callable[[Array], Array]] = {
    "b": np.zeros_like,
    "beta": np.zeros_like,
    "gamma": np.ones_like,
}


@dataclass(frozen=True)
class Fault:
    """A faulty form: the numbers that a known mistake gives, by the name of the result.

    `says` is one sentence about the mistake, `advice` one about the repair. `change` is the other
    question whose right answer the mistake is, if it is one; two mistakes in one result are then
    tried together.
    """

    name: str
    says: str
    advice: str
    forms: Mapping[str, Form]
    change: Callable[[Case], Case] | None = None


@dataclass(frozen=True)
class Operation:
    """One operation: its definition, the cases that tell mistakes apart, and the mistakes.

    truth: the right results of a case; a second argument, what was observed, settles what the
        definition leaves open (which of equal values is the maximum, which values dropout drops).
    small: cases of small integers, the smallest first, for an example by hand.
    terms: the sum that makes one element of one result, as text.
    images, filters: names of the arrays that have these layouts.
    axes: names of the axes of arrays that have others.
    settle: the case with what the faulty forms read from the observed results.
    may_refuse: True for a geometry that code may decline with an error of its own.
    constants: settings that code may hold as constants, with their usual values.
    more, pairs: faults that are made of parts, and two of them at once. They are tried after
        `faults`, in this order, so that a mistake with a name of its own has that name.
    forms: the same operation with arrays of other shapes, as other courses have them.
    sums: for a result, the terms that it is the sum of by their names, under ""; and under the
        words of a mistake, the terms of that mistake.
    """

    name: str
    title: str
    source: str
    formulas: Mapping[str, str]
    cases: Callable[[np.random.Generator], list[Case]]
    small: Callable[[], list[Case]]
    truth: Callable[[Case, Results], Results]
    terms: Callable[[Case, str, tuple[int, ...], Results], str]
    faults: tuple[Fault, ...]
    gradients: tuple[str, ...]  # in the order in which backward returns them
    images: tuple[str, ...] = ()
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    is_random: bool = False
    optional: frozenset[str] = frozenset()  # results that need not be there
    settle: Callable[[Case, Results], Case] = lambda case, observed: case
    may_refuse: Callable[[Case], bool] = lambda case: False
    constants: Mapping[str, float] = field(default_factory=dict)
    more: tuple[Fault, ...] = ()
    pairs: Callable[[], Iterable[Fault]] = tuple
    forms: "tuple[Operation, ...]" = ()
    sums: Mapping[str, Mapping[str, Callable[[Case], Mapping[str, Array]]]] = field(
        default_factory=dict
    )

    def without(self, names: Sequence[str]) -> "Operation":
        """The operation with the values of `NEUTRAL` for these arrays, without their gradients."""

        def neutral(cases: list[Case]) -> list[Case]:
            return [c.but(**{name: NEUTRAL[name](c.arrays[name]) for name in names}) for c in cases]

        gone = {f"d{name}" for name in names}
        return replace(
            self,
            formulas={r: formula for r, formula in self.formulas.items() if r not in gone},
            cases=lambda generator: neutral(self.cases(generator)),
            small=lambda: neutral(self.small()),
            gradients=tuple(name for name in self.gradients if name not in gone),
        )

    def right(self, case: Case) -> Results:
        """The right results, where nothing was observed."""
        return self.truth(case, {})


def with_dy(case: Case, truth: Callable[[Case], Array], generator: np.random.Generator) -> Case:
    """The case with a random upstream gradient of the output's shape."""
    return replace(case, dy=generator.standard_normal(truth(case).shape))


def normal(generator: np.random.Generator) -> Callable[..., Array]:
    """A function that draws standard normal numbers of a shape."""
    return lambda *shape: np.asarray(generator.standard_normal(shape))


def integers(*shape: int, start: int = 1) -> Array:
    """Small integers, positive and negative, no two neighbors alike, for sums by hand."""
    pattern = np.array([1, 2, -1, 3, -2, 4, 0, 5, -3, 2, 1, -4, 3], np.float64)
    count = int(np.prod(shape))
    return np.roll(np.resize(pattern, count + start), -start)[:count].reshape(shape)


def number(value: Any) -> str:
    """A number as one writes it by hand: integers without a point, others to 6 digits."""
    value = float(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def signed(value: float) -> str:
    """The number, in parentheses if it is negative: a factor of a product."""
    return f"({number(value)})" if value < 0 else number(value)


def products(pairs: list[tuple[float, float]], last: float | None = None) -> str:
    """`1*2 + 3*(-1)`, and `+ last`, such as a bias."""
    text = " + ".join(f"{number(a)}*{signed(b)}" for a, b in pairs) or "0"
    return text if last is None else f"{text} + {signed(last)}"
