"""PyTorch's best of the same operations, by pass.

Ways: {contiguous, channels_last} x {eager, CUDA graph}, with cudnn.benchmark on. As on our side,
events measure the time, and buffers rotate past the L2 cache. What an earlier run has stored for
this card is left out but for `ANCHORS`, which say whether the card is as fast as it was then.
"""

import statistics
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from .environment import torch_times
from .parts import Task
from .speed import BIAS, CONVOLUTIONS, PASSES, TINY, copies, passes

GEOMETRY = {"stride": 1, "padding": 0, "groups": 1}
DEVICE = "cuda"  # tests set it to the CPU
CALLS = 10  # in a graph
Stored = Collection[tuple[str, str]]  # names and precisions of rows
Ways = Iterator[tuple[str, float | str]]  # seconds, or why it cannot be measured
ANCHORS = "ResNet 3x3, 64 to 64 at 56", "tiny 3x3"


def operations(precision: str, tiny: bool, stored: Stored = ()) -> Iterator[Task]:
    """Convolutions by pass."""
    for name, shape in (TINY if tiny else CONVOLUTIONS).items():
        rows = {(f"{name}, {what}", precision) for what in passes(name, shape[0])}
        if name in ANCHORS or not rows <= set(stored):
            yield name, partial(_convolution_rows, name, precision, *shape)


def row(name: str, precision: str, ways: Ways) -> Iterator[dict[str, Any]]:
    """A line of the results, if one way could be measured; the others' reasons beside."""
    found = dict(ways)
    times = {way: value for way, value in found.items() if not isinstance(value, str)}
    refused = {way: value for way, value in found.items() if isinstance(value, str)}
    if times:
        kind = {"kind": "torch", "name": name, "precision": precision}
        yield kind | {"ways": times, "refused": refused}
    else:
        why = f"PyTorch: {next(iter(refused.values()), 'no way')}"
        yield {"kind": "left out", "name": f"{name}, {precision}", "message": why}


def layouts() -> list[tuple[str, Any]]:
    """Names and PyTorch's memory formats."""
    import torch

    return [
        (str(each).removeprefix("torch."), each)
        for each in (torch.contiguous_format, torch.channels_last)
    ]


def kind_of(precision: str) -> Any:
    """The type of images; and cuDNN and cuBLAS may use tf32 only in that precision."""
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def ways(call: Callable[[], Any], layout: str = "") -> Ways:
    """Eager, and as a CUDA graph of ten calls, whose results may share memory as ours do."""
    import torch

    name = f"{layout}, " if layout else ""
    yield attempted(f"{name}eager", lambda: statistics.median(torch_times(call)))

    def replayed() -> float:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(CALLS):
                call()
        return statistics.median(torch_times(graph.replay, launches=2)) / CALLS

    yield attempted(f"{name}graph", replayed)


def attempted(way: str, measure: Callable[[], float]) -> tuple[str, float | str]:
    """A way, and what `measure` returns or why it cannot."""
    try:
        return way, measure()
    except (RuntimeError, AssertionError, ImportError) as error:  # whatever torch lacks here
        return way, first_line(error)


def first_line(error: Exception) -> str:
    """Why something failed, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _convolution_rows(
    name: str, precision: str, shape: tuple, size: int, filters: int, geometry: dict
) -> Iterator[dict]:
    pixels = shape[0] * shape[1] * shape[2]
    side = geometry.get("stride", 1) ** 2
    moved = (2 if precision == "bf16" else 4) * pixels * (shape[3] + filters // side)
    given = shape, size, filters, geometry, precision, copies(moved)
    chosen = passes(name, shape)
    found: dict[str, list] = {what: [] for what in chosen}
    for layout, memory_format in layouts():
        calls = convolution(*given, memory_format)
        for what in chosen:
            found[what] += ways(calls[what], layout)
    for what, measured in found.items():
        yield from row(f"{name}, {what}", precision, iter(measured))


def convolution(
    shape: tuple,
    size: int,
    filters: int,
    geometry: dict,
    precision: str,
    count: int,
    memory_format: Any,
) -> dict[str, Callable[[], Any]]:
    """Pass -> a call, on the next of `count` sets of buffers."""
    import torch

    kind = kind_of(precision)
    stride, padding, groups = (geometry.get(k, v) for k, v in GEOMETRY.items())
    convolve = partial(
        torch.nn.functional.conv2d, bias=None, stride=stride, padding=padding, groups=groups
    )

    def made(*sizes: int) -> Any:
        return torch.randn(*sizes, device=DEVICE, dtype=kind).to(memory_format=memory_format)

    w = made(filters, shape[3] // groups, size, size)
    xs = [made(shape[0], shape[3], *shape[1:3]) for _ in range(count)]
    dys = [torch.randn_like(convolve(x, w)) for x in xs]
    turn = iter(range(10**9))

    def backward(*mask: bool) -> Any:
        i = next(turn) % len(xs)
        bias = [filters] if mask[2] else None
        rest = [stride, stride], [padding, padding], [1, 1], False, [0, 0], groups, list(mask)
        return torch.ops.aten.convolution_backward(dys[i], xs[i], w, bias, *rest)

    return {
        PASSES[0]: lambda: convolve(xs[next(turn) % len(xs)], w),
        PASSES[1]: lambda: backward(True, False, False),
        PASSES[2]: lambda: backward(False, True, False),
        BIAS: lambda: backward(False, True, True),
    }
