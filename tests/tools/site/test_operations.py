"""The pages of the operations: all operations, and the function that each backend really runs."""

import inspect

import pytest

from minicnn.kernels import cpu, cuda, functional, reference
from tools.site import operations

NAMES = list(operations.operations())


def test_all_operations():
    assert set(NAMES) == set(functional.table())
    assert len(NAMES) == len(set(NAMES))
    sections = operations.operations()
    assert sections["conv2d"] == "convolution"
    assert sections["softmax"] == "losses"


@pytest.mark.parametrize(
    ("package", "backend"), [(reference, "reference"), (cpu, "cpu"), (cuda, "cuda")]
)
def test_the_sources_are_those_that_run(package, backend):
    for name in NAMES:
        source = operations.find(backend, name)
        function = getattr(package, name, None)
        assert (source is None) == (function is None), name
        if inspect.isfunction(function) and function.__name__ == name:
            assert source.text == inspect.getsource(function).rstrip(), name
            assert inspect.getsourcefile(function).endswith(source.path.removeprefix("kernels/"))


def test_a_page():
    page = operations.page("max_pool2d")
    assert page.startswith("# max_pool2d\n\n::: minicnn.kernels.pooling.max_pool2d\n")
    for backend in ("reference", "cpu", "cuda", "numba_cuda"):
        assert f'=== "{backend}"' in page
    assert "[kernels/cuda/pool.cu](../source/kernels/cuda/pool.cu.md)" in page
    assert "[derivation](../derivations/pooling.md)" in page
    assert "Not in cpu, cuda and numba_cuda: there" in operations.page("rbf")


def test_the_algorithms_that_a_convolution_calls():
    page = operations.page("conv2d")
    for path in ("cpu/depthwise", "cpu/winograd", "cuda/depthwise.py", "cuda/depthwise.cu"):
        assert f"[kernels/{path}](../source/kernels/{path}.md)" in page
        assert f"kernels/{path}" in operations.sources()
    assert "kernels/cpu/depthwise/sums.py" in operations.sources()
    assert "it calls" not in operations.page("group_norm")


def test_the_index_and_the_sources():
    index = operations.index()
    assert all(f"[{name}]({name}.md)" in index for name in NAMES)
    found = operations.sources()
    assert {"kernels/reference/conv.py", "kernels/cuda/conv.py", "kernels/cuda/conv.cu"} <= set(
        found
    )
