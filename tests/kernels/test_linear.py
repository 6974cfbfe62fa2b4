"""Linear layers and squared distances on every backend, against torch."""

from ..checks import Through, check_random_cases, over_backends


@over_backends("linear", "rbf")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)
