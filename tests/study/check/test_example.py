"""Every example by hand is true: the sum gives the right number, and the wrong one is shown."""

import re

import numpy as np
import pytest

from minicnn.study.check.operations import OPERATIONS

from .mutants import MUTANTS

SUMS = [m for m in MUTANTS if m.check in ("conv", "affine", "avg", "conv_nhwc", "softmax", "bn")]


@pytest.mark.parametrize("mutant", SUMS, ids=lambda m: f"{m.check}: {m.new[-60:]}")
def test_sums_add_up(mutant):
    check = mutant.run()
    if not check.findings or check.findings[0].name == "order":
        return
    assert check.examples
    for example in check.examples:
        line, yours = example.lines[-2:]
        parts = line.split(" = ")
        if not yours.startswith("yours: ") or len(parts) < 3 or "softmax" in line or "log" in line:
            continue
        _, terms, value = parts
        scope = {"__builtins__": {}, "sqrt": np.sqrt}
        assert eval(terms, scope) == pytest.approx(float(value), rel=1e-4, abs=1e-5)
        assert yours != f"yours: {value}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_element_of_every_small_case_has_its_terms(name):
    operation = OPERATIONS[name]
    for case in operation.small():
        right = operation.right(case)
        for result, array in right.items():
            for index in np.ndindex(array.shape):
                text = operation.terms(case, result, index, right)
                assert text
                if re.fullmatch(r"[-\d.e+*/() ]+", text):
                    assert eval(text) == pytest.approx(float(array[index]), rel=1e-4, abs=1e-5)
