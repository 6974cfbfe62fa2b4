"""Parallel paths in graphs of layers."""

import pytest

from minicnn.study.graph.regions import Fork, Tangle, regions

CASES = {
    "chain": ({"a": "input", "b": "a"}, ("a", "b")),
    "two paths": (
        {"a": "input", "b": "a", "c": "a", "d": "bc"},
        ("a", Fork((("b",), ("c",)), "d")),
    ),
    "shortcut": (
        {"a": "input", "b": "a", "c": "ba", "d": "c"},
        ("a", Fork((("b",), ()), "c"), "d"),
    ),
    "from the input": ({"a": "input", "b": ("a", "input")}, (Fork((("a",), ()), "b"),)),
    "in the order of the join": (
        {"a": "input", "b": "a", "c": "a", "d": "c", "e": "adb"},
        ("a", Fork(((), ("c", "d"), ("b",)), "e")),
    ),
    "nested": (
        {"a": "input", "b": "a", "c": "ab", "d": "c", "e": "cd", "f": "ea"},
        ("a", Fork(((Fork(((), ("b",)), "c"), Fork(((), ("d",)), "e")), ()), "f")),
    ),
    "one layer twice": ({"a": "input", "b": "aa", "c": "b"}, ("a", "b", "c")),
    "crossing paths": (
        {"a": "input", "b": "a", "c": "ab", "d": "c", "e": "abd", "f": "e"},
        ("a", Tangle(("b", "c", "d", "e")), "f"),
    ),
    "a path that is joined twice": (
        {"a": "input", "b": "a", "c": "a", "d": "b", "e": "b", "f": "cde"},
        ("a", Tangle(("b", "c", "d", "e", "f"))),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_regions(name):
    reads, expected = CASES[name]
    given = {n: (s,) if s == "input" else tuple(s) for n, s in reads.items()}
    assert regions(given, "input") == expected
