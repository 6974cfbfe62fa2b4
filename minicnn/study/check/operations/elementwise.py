"""Functions of single numbers, such as LeakyReLU and GELU: definitions, cases, mistakes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ....kernels.reference.activation import ACTIVATIONS, FROM_INPUT
from ....kernels.types import Array
from ..case import Case, Fault, Operation, Results, normal, number, signed

OneArray = Callable[[Case], Array]
Mistake = tuple[str, str, str, Mapping[str, OneArray]]  # name, says, advice, forms

SHAPES = ((3, 4), (2, 3, 4, 2), (1, 7), (5, 3))
GAP = 0.05  # no input is nearer to a kink


@dataclass(frozen=True)
class Function:
    """y = f(x) and dx = dy * f'(x). kinks: where f' jumps. constants: usual values, and others."""

    name: str
    title: str
    y: str
    dx: str
    mistakes: tuple[Mistake, ...]
    kinks: tuple[float, ...] = ()
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    without: tuple[str, ...] = ()  # common mistakes that are none here, or have another name

    def value(self, c: Case) -> Array:
        """f(x)."""
        return ACTIVATIONS[self.name][0](c.x, *self._constants(c))

    def slope(self, c: Case) -> Array:
        """f'(x)."""
        source = c.x if self.name in FROM_INPUT else self.value(c)
        return ACTIVATIONS[self.name][1](np.ones_like(c.x), source, *self._constants(c))

    def _constants(self, c: Case) -> list[float]:
        return [c.settings[name] for name in self.constants]

    def cases(self, generator: np.random.Generator) -> list[Case]:
        """Values on all sides of the kinks, none near them."""
        draw, found = normal(generator), []
        for index, shape in enumerate(SHAPES):
            settings = {name: v[index % len(v)] for name, v in self.constants.items()}
            x = 3 * draw(*shape)
            beyond = [kink + step for kink in self.kinks for step in (-1.5, 1.5)]
            if x.size > 2 * len(beyond):
                x.flat[: len(beyond)] = beyond
            found.append(Case({"x": self._away(x)}, settings, draw(*shape)))
        return found

    def small(self) -> list[Case]:
        """A negative and a positive number; a few more."""
        usual = {name: values[-1] for name, values in self.constants.items()}
        rows = ([[-1.0, 2.0]], [[-2.0, 1.0, 4.0, -4.0]])
        made = [
            Case({"x": np.array(row)}, usual, np.resize([3.0, 5.0, -2.0, 4.0], (1, len(row[0]))))
            for row in rows
        ]
        return made + [c.but(**{n: v[0] for n, v in self.constants.items()}) for c in made]

    def _away(self, x: Array) -> Array:
        for kink in self.kinks:
            x = np.where(np.abs(x - kink) < GAP, kink + 0.5, x)
        return x

    def truth(self, c: Case, observed: Results) -> Results:
        """The reference's results."""
        return {"y": self.value(c), "dx": c.dy * self.slope(c)}

    def terms(self, c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
        """The function's name with its argument, or dy times the slope there."""
        x = number(c.x[index])
        if result == "y":
            return f"f({x})"
        return f"{number(c.dy[index])} * f'({x}) = {number(c.dy[index])}*{self._slope_at(c, index)}"

    def _slope_at(self, c: Case, index: tuple[int, ...]) -> str:
        return signed(float(self.slope(c)[index]))


def of_dx(name: str, says: str, advice: str, form: Callable[[Case], Array]) -> Mistake:
    """A mistake in f': dx is dy times the form."""
    return name, says, advice, {"dx": lambda c: c.dy * form(c)}


def of_y(name: str, says: str, advice: str, form: Callable[[Case], Array]) -> Mistake:
    """A mistake in f."""
    return name, says, advice, {"y": form}


def _common(f: Function) -> tuple[Mistake, ...]:
    """The mistakes of any derivative."""
    rule = f"Chain rule: {f.dx}."

    def at(place: Callable[[Case], Array], c: Case) -> Array:
        return f.slope(c.but(x=place(c)))

    found = (
        of_dx(
            "no derivative",
            "dy passes unchanged: the derivative is missing",
            rule,
            lambda c: np.ones_like(c.x),
        ),
        of_dx("value for slope", "dy is multiplied by y, not by the derivative", rule, f.value),
        of_dx("times x", "dy is multiplied by x, not by the derivative", rule, lambda c: c.x),
        of_dx(
            "slope times x",
            "the derivative is multiplied by x, too",
            rule,
            lambda c: f.slope(c) * c.x,
        ),
        of_dx(
            "derivative at y",
            "the derivative is taken at the output y, not at the input x",
            f"Keep x in forward, and take the derivative there: {f.dx}.",
            partial(at, f.value),
        ),
        of_dx(
            "derivative at dy",
            "the derivative is taken at dy, not at x",
            f"Keep x in forward, and take the derivative there: {f.dx}.",
            partial(at, lambda c: c.dy),
        ),
        of_dx("slope squared", "the derivative is there twice", rule, lambda c: f.slope(c) ** 2),
        of_dx(
            "ReLU's derivative",
            "it is the gradient of ReLU",
            rule,
            lambda c: (c.x > 0).astype(np.float64),
        ),
        ("x for dy", "it is the output again, not the gradient", rule, {"dx": f.value}),
        of_y("identity", "x is returned unchanged", f"{f.y}.", lambda c: c.x),
        of_y("ReLU", "it is ReLU", f"{f.y}.", lambda c: np.maximum(c.x, 0)),
        of_y("sign of y", "the sign is wrong", f"{f.y}.", lambda c: -f.value(c)),
        of_y(
            "sign of x",
            "the function is taken at -x: a minus is missing, or there is one too many",
            f"{f.y}.",
            lambda c: f.value(c.but(x=-c.x)),
        ),
    )
    return tuple(mistake for mistake in found if mistake[0] not in f.without)


def operation_of(f: Function, truth: Callable[[Case, Results], Results] | None = None) -> Operation:
    """The function as an operation; `truth` allows for several conventions."""
    return Operation(
        name=f.name,
        title=f.title,
        source="minicnn.kernels.reference.activation",
        formulas={"y": f.y, "dx": f.dx},
        cases=f.cases,
        small=f.small,
        truth=truth or f.truth,
        terms=f.terms,
        faults=tuple(Fault(*mistake) for mistake in (*f.mistakes, *_common(f))),
        gradients=("dx",),
        constants={name: values[0] for name, values in f.constants.items()},
    )
