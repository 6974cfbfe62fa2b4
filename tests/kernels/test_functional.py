"""Every operation has a comparison with torch and a file of tests."""

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels import functional, reference
from minicnn.kernels.reference.activation import ACTIVATIONS

from ..checks import CHECKS, broken
from ..checks.common import DTYPES

# Operations that the check of another one compares.
INCLUDED = {"activate", "add", "empty", *ACTIVATIONS}
# Operations that are compared with torch in their own file, or that torch does not have.
ELSEWHERE = {"dropout", "sgd_update", "adam_update", "rmsprop_update"}


def test_every_operation_has_a_check():
    covered = set(CHECKS) | ELSEWHERE | INCLUDED
    for operation in functional.OPERATIONS:
        base = operation.removesuffix("_input").removesuffix("_weight").removesuffix("_grad")
        assert operation in covered or base in covered, operation


def test_every_operation_has_a_file_of_tests():
    """That of its module: `minicnn.kernels.reference.pool` is tested in test_pool.py."""
    for operation in functional.OPERATIONS:
        module = sys.modules[getattr(reference, operation).__module__]
        name = module.__name__.rpartition(".")[2]
        assert (Path(__file__).parent / f"test_{name}.py").is_file() or name == "arrays", operation


def test_the_fast_backends_lack_little():
    """What runs as the reference on an array of theirs is known: no fallback is new."""
    losses = {"binary_cross_entropy", "map_loss", "mean_squared_error"}
    small = {"subsample2d", "subsample2d_grad", "rbf", "rbf_grad", "fold_batch_norm"}
    lacking = {name for name, backends in functional.table().items() if not backends["cpu"]}
    assert lacking == losses | small


def test_checks_pass():
    """The unbroken reference passes every check, so that a mutant fails by its own mistake."""

    @settings(max_examples=5)
    @given(st.data())
    def run(data):
        for cases, check in CHECKS.values():
            check(broken(), data.draw(cases(DTYPES[0])))

    run()
