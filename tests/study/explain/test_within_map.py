"""Local response normalization within a map."""

from minicnn.models.alexnet_2012 import WithinMapNorm
from tests.study.explain.numbers import check_all


def test_every_number():
    found = check_all(WithinMapNorm(3, alpha=0.9), (2, 4, 3, 2), count=8, path="")
    assert len(found["", "y"].terms) == 1 + 4  # k, and the pixels of a corner
    assert found["", "y"].source.file == "models/alexnet_2012.py"
    check_all(WithinMapNorm(5, alpha=2.0, beta=0.5), (1, 3, 7, 1), count=8, path="")
