"""The part of an explanation that fits on a screen: some of its terms, and sums per input map."""

import json
import math
from dataclasses import replace
from typing import Any, NamedTuple

from ..explain import Explanation, Term
from ..trace import is_activation

MOST_MAPS = 512
MOST_CELLS = 11 * 11  # of a window that the page draws (window.js)


class Page(NamedTuple):
    """Which terms of an explanation to show.

    offset, limit: the terms, in the order of the sum, or with the largest first.
    map: the input map whose window is drawn; None: the one that adds the most.
    """

    offset: int = 0
    limit: int = 200
    largest: bool = False
    map: int | None = None


def page(found: Explanation, view: Page) -> dict[str, Any]:
    """The explanation in plain values, with the terms of that page.

    `maps` has one `[map, terms, sum]` for each input map that the sum reads, the largest sum first;
    `window` has the terms of one of them, if they are few enough to be drawn. Both are empty if the
    terms are no elements of maps.
    """
    terms = found.largest(len(found.terms)) if view.largest else found.terms
    shown = terms[view.offset : view.offset + view.limit]
    groups = _by_map(found.terms)
    ranked = sorted(groups, key=lambda c: -abs(sum(term.value for term in groups[c])))
    chosen = view.map if view.map in groups else next(iter(ranked), None)
    plain = replace(found, terms=tuple(shown)).to_json()
    cells = groups.get(chosen, [])
    window = replace(found, terms=tuple(cells if len(cells) <= MOST_CELLS else ()))
    return {
        **plain,
        "terms_count": len(found.terms),
        "offset": view.offset,
        "maps": [
            [c, len(groups[c]), sum(term.value for term in groups[c])] for c in ranked[:MOST_MAPS]
        ],
        "map": chosen,
        "window": window.to_json()["terms"],
    }


def _by_map(terms: tuple[Term, ...]) -> dict[Any, list[Term]]:
    """The terms by the channel of their first factor, where that is an element of a map."""
    groups: dict[Any, list[Term]] = {}
    for term in terms:
        index = term.factors[0].index if term.factors else None
        name = term.factors[0].name if term.factors else ""
        if index is not None and len(index) == 4 and is_activation(name):
            groups.setdefault(index[3], []).append(term)
    return groups


def to_json(value: Any) -> str:
    """Plain values as JSON, which has no NaN and no infinity: these become null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
