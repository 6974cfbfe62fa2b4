"""What an explanation consists of."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from . import text

Index = tuple[int, ...]
Ranges = tuple[tuple[int, int], ...]  # one (start, stop) per axis


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a term: an element of an array, or a number.

    name: the array, such as "x", "dy" or "w", or the formula of the number. index: of the element;
    None for a number. path: the layer that has the array; None for the layer that is explained.
    """

    name: str
    index: Index | None
    value: float
    path: str | None = None

    @property
    def label(self) -> str:
        """`x[0, 3, 5, 2]`, `conv1.y[0, 3, 5, 2]` of another layer, or the name of a number."""
        if self.index is None:
            return self.name
        owner = "" if self.path is None else f"{self.path or 'network'}."
        return owner + place(self.name, self.index)


class Term(NamedTuple):
    """One term of a sum, or one candidate of a selection.

    value: the product of the factors. chosen: False for a candidate that was not selected.
    """

    value: float
    factors: tuple[Factor, ...]
    chosen: bool = True

    @property
    def label(self) -> str:
        """`x[0, 3, 5, 2] · w[0, 0, 2, 7]`."""
        return " · ".join(factor.label for factor in self.factors)


class Read(NamedTuple):
    """A box of an array that an explanation reads.

    path, what: the array: "x", "y" or "dy" of that layer, or the name of a parameter, for its
    value. ranges: `(start, stop)` per axis.
    """

    path: str
    what: str
    ranges: Ranges


class Source(NamedTuple):
    """The function that defines the number: its file in the repository, its lines and its text."""

    file: str
    first: int
    last: int
    code: str
    name: str


class Step(NamedTuple):
    """What is done with the sum: `relu(sum)`. text: the formula; apply: the function."""

    text: str
    apply: Callable[[float], float]


@dataclass(frozen=True)
class Parts:
    """What is particular to a layer in an explanation; `explain` completes it.

    function: the code that defines the number. `reads` name arrays of the layer itself.
    The other fields are those of `Explanation`.
    """

    formula: str
    terms: list[Term]
    function: Callable[..., Any] | None
    kind: str = "sum"
    then: Step | None = None
    reads: tuple[Read, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """How one number of a traced pass was made. `print(explanation)` and a notebook show it.

    title: the number, such as "conv1: y[0, 3, 5, 2]". path, layer: the layer and its class.
    what, index: the array and the place in it. formula: what the number is, in one line.
    kind: "sum"; "selection", of one candidate; "function", of one number; "paths", numbers that
        come from, or go to, other layers; "none" for a layer without an explanation.
    terms: in the order in which they are added. sum: the sum of their values in float64, or the
        value of the candidate that was chosen.
    then: what is done with the sum, such as "relu(sum)"; "" for nothing. total: the result.
    engine: the number in the traced pass, of type dtype. difference: total - engine, which is
        the rounding of the pass.
    source: the code that defines it. reads: the boxes of the arrays that it reads; x is read as
        the y of the layer that made it.
    note: why, in one or two sentences.
    Of kind "none", sum, total and difference are NaN.
    """

    title: str
    path: str
    layer: str
    what: str
    index: Index
    formula: str
    kind: str
    terms: tuple[Term, ...]
    sum: float
    then: str
    total: float
    engine: float
    difference: float
    dtype: str
    source: Source | None
    reads: tuple[Read, ...]
    note: str

    def __str__(self) -> str:
        return self.to_text(20)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def to_text(self, limit: int | None = None, largest: bool = False) -> str:
        """A table of the terms, with the sum and the number in the pass.

        limit: how many terms to show; largest: those with the largest absolute values.
        """
        return "\n".join(text.lines(self, self.shown(limit, largest)))

    def largest(self, count: int) -> tuple[Term, ...]:
        """The terms with the largest absolute values, the largest first."""
        return tuple(sorted(self.terms, key=lambda term: -abs(term.value))[:count])

    def to_json(self, limit: int | None = None, largest: bool = False) -> dict[str, Any]:
        """Plain values for JSON; a number that is not finite is None.

        limit: how many terms to keep; largest: those with the largest absolute values. The number
        of all terms is "terms_count", the sum of those left out is "terms_left_out".
        """
        terms = self.shown(limit, largest)
        kept = sum(term.value for term in terms) if self.kind != "selection" else self.sum
        return {
            **{name: getattr(self, name) for name in ("title", "path", "layer", "what")},
            "index": list(self.index),
            "formula": self.formula,
            "kind": self.kind,
            "terms": [_plain_term(term) for term in terms],
            "terms_count": len(self.terms),
            "terms_left_out": _finite(self.sum - kept) if len(terms) < len(self.terms) else 0.0,
            "sum": _finite(self.sum),
            "then": self.then,
            "total": _finite(self.total),
            "engine": _finite(self.engine),
            "difference": _finite(self.difference),
            "dtype": self.dtype,
            "source": self.source._asdict() if self.source else None,
            "reads": [
                {"path": r.path, "what": r.what, "ranges": [list(pair) for pair in r.ranges]}
                for r in self.reads
            ],
            "note": self.note,
        }

    def shown(self, limit: int | None, largest: bool = False) -> tuple[Term, ...]:
        """The first `limit` terms, or the largest ones, or all of them."""
        if limit is None or limit >= len(self.terms):
            return self.largest(len(self.terms)) if largest else self.terms
        return self.largest(limit) if largest else self.terms[:limit]


def place(name: str, index: Index) -> str:
    """`y[0, 3, 5, 2]`; the name itself for a number without an index."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def add_up(terms: list[Term]) -> float:
    """The sum of the values from the first to the last, each addition rounded to float64."""
    total = 0.0
    for term in terms:
        total += term.value
    return total


def source_of(function: Callable[..., Any] | None) -> Source | None:
    """Where a function is defined. The file is relative to the repository if it is minicnn's.

    None for a function whose text is not in a file.
    """
    return _source(inspect.unwrap(getattr(function, "__func__", function))) if function else None


@cache
def _source(function: Callable[..., Any]) -> Source | None:
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return None
    package, *parts = function.__module__.split(".")
    if package != "minicnn":
        file = Path(inspect.getsourcefile(function) or "").as_posix()
    else:
        if parts[0] not in ("kernels", "models"):  # these are folders beside minicnn/
            parts.insert(0, package)
        suffix = ".py" if Path(inspect.getsourcefile(function) or "").stem == parts[-1] else ""
        file = "/".join(parts) + (suffix or "/__init__.py")
    return Source(file, first, first + len(lines) - 1, "".join(lines), function.__qualname__)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain_term(term: Term) -> dict[str, Any]:
    factors = [
        {
            "name": f.name,
            "index": None if f.index is None else list(f.index),
            "value": _finite(f.value),
            "path": f.path,
        }
        for f in term.factors
    ]
    return {
        "label": term.label,
        "value": _finite(term.value),
        "factors": factors,
        "chosen": term.chosen,
    }
