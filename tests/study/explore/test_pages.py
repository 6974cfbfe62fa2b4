"""The part of an explanation that fits on a screen."""

import pytest

from minicnn.study.explain import explain
from minicnn.study.explore.pages import Page, page

from .common import session


def test_terms_in_pages_and_sums_per_map():
    found = explain(session().trace, "block.body.conv", "y", (0, 2, 3, 1))
    first = page(found, Page(limit=10))
    second = page(found, Page(offset=10, limit=10))
    values = [term["value"] for part in (first, second) for term in part["terms"]]
    assert values == [term.value for term in found.terms[:20]]
    assert first["terms_count"] == len(found.terms) == 37
    assert sorted(c for c, _, _ in first["maps"]) == [0, 1, 2, 3]
    assert sum(total for _, _, total in first["maps"]) + found.terms[0].value == pytest.approx(
        found.sum
    )
    sums = [abs(total) for _, _, total in first["maps"]]
    assert sums == sorted(sums, reverse=True)
    assert first["map"] == first["maps"][0][0]
    assert len(first["window"]) == 9


def test_the_map_that_is_asked_for():
    found = explain(session().trace, "block.body.conv", "y", (0, 2, 3, 1))
    window = page(found, Page(map=2))["window"]
    assert {term["factors"][0]["index"][3] for term in window} == {2}


def test_largest_first():
    found = explain(session().trace, "fc", "y", (0, 1))
    values = [abs(term["value"]) for term in page(found, Page(largest=True, limit=5))["terms"]]
    assert values == [abs(term.value) for term in found.largest(5)]
    assert page(found, Page())["maps"] == []


def test_a_window_that_is_too_large_to_draw_is_left_out():
    found = page(explain(session().trace, "conv", "b", (0,)), Page(limit=10))
    assert found["terms_count"] == 144 and len(found["maps"]) == 1
    assert found["window"] == []
