"""Kernels and the functions in them."""

import pytest

from minicnn.kernels.cpu.engine import launch


def test_names_of_kernel_functions_are_unique():
    def twice():
        pass

    launch.inline(twice)
    with pytest.raises(ValueError, match="there is a kernel function .*twice"):
        launch.inline(twice)
