"""Explanations of random places, checked against the numbers of the pass."""

from math import prod

import numpy as np

from minicnn.study import explain, trace

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}  # of the sum of the terms' absolute values


def places(shape, count, seed=0):
    """The first and the last place of an array, and random ones."""
    generator = np.random.default_rng(seed)
    drawn = [tuple(int(generator.integers(size)) for size in shape) for _ in range(count)]
    return {tuple(0 for _ in shape), tuple(size - 1 for size in shape), *drawn}


def check_explanation(e, tolerance):
    """The terms are the products of their factors, they add up to the sum, and that is right."""
    for term in e.terms:
        assert term.factors, term
        assert term.value == prod(f.value for f in term.factors) or np.isnan(term.value)
    values = [term.value for term in e.terms if term.chosen or e.kind != "selection"]
    added = 0.0
    for value in values:
        added += value
    assert e.sum == added, e.title
    if not e.then:
        assert e.total == e.sum
    assert e.difference == e.total - e.engine
    scale = sum(map(abs, values)) + abs(e.total) + abs(e.engine)
    assert abs(e.difference) <= tolerance * scale, (e.title, e.total, e.engine, e.kind)
    assert e.formula
    assert e.kind in ("sum", "selection", "function", "paths")
    assert e.title.startswith(f"{e.path or e.layer}: ")


def check_factors(traced, e):
    """A factor with a place is the number at that place, and the boxes hold it."""
    for term in e.terms:
        for factor in term.factors:
            record = traced[e.path if factor.path is None else factor.path]
            array = (record.arrays() | record.parameters).get(factor.name)
            assert array is not None or factor.path is None or factor.name.endswith("'")
            if array is not None and factor.index is not None:
                assert factor.value == float(array[factor.index]), (e.title, factor)
            if e.path == "" and factor.path is None and factor.name in ("x", "dy"):
                assert any(is_in(factor, read) for read in e.reads), (e.title, factor)
    for read in e.reads:
        array = traced[read.path].arrays().get(read.what)
        array = traced[read.path].parameters[read.what] if array is None else array
        assert len(read.ranges) == array.ndim
        for (start, stop), size in zip(read.ranges, array.shape, strict=True):
            assert 0 <= start < stop <= size


def is_in(factor, read):
    """True if the box has that element."""
    inside = zip(factor.index, read.ranges, strict=True)
    return read.what == factor.name and all(a <= i < b for i, (a, b) in inside)


def check_all(model, shape, *, count=3, seed=0, training=False, path=None, **options):
    """Explain every array of every layer at some places, in float64 and in float32.

    Returns the float64 explanations by (path, what), those of the last place.
    """
    found = {}
    for dtype in ("float32", "float64"):
        generator = np.random.default_rng(seed)
        model.astype(dtype)
        x = generator.standard_normal(shape).astype(dtype)
        given = dict(options)
        if "labels" not in given:
            given["dy"] = generator.standard_normal(model.output_shape(shape)).astype(dtype)
        traced = trace(model, x, training=training, **given)
        for record in traced.records:
            if path is not None and record.path != path:
                continue
            for what, array in record.arrays().items():
                for index in sorted(places(array.shape, count, seed)):
                    e = explain(traced, record.path, what, index)
                    check_explanation(e, TOLERANCE[dtype])
                    check_factors(traced, e)
                    found[record.path, what] = e
    return found
