"""PyTorch's best of the same operations and steps.

Ways: {contiguous, channels_last} x {eager, CUDA graph}, with cudnn.benchmark on. As on our side,
events measure the time, buffers rotate past the L2 cache, and weight gradients exclude the bias.
"""

import importlib
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from minicnn import registry

from .environment import torch_times
from .parts import Task
from .speed import CONVOLUTIONS, MEMORY_BATCH, PASSES, STEPS, TINY, TINY_STEPS, copies

GEOMETRY = {"stride": 1, "padding": 0, "groups": 1}
DEVICE = "cuda"  # tests set it to the CPU


def operations(precision: str, tiny: bool) -> Iterator[Task]:
    """Convolutions by pass, and what is bound by memory."""
    for name, shape in (TINY if tiny else CONVOLUTIONS).items():
        yield name, partial(_convolution_rows, name, precision, *shape)
    yield "memory-bound operations", partial(_memory_rows, precision, 1 if tiny else MEMORY_BATCH)


def steps(precision: str, tiny: bool) -> Iterator[Task]:
    """A training step of whole networks."""
    for name, (images, classes) in (TINY_STEPS if tiny else STEPS).items():
        yield name, partial(_step_rows, name, images, classes, precision)


def _row(name: str, precision: str, ways: dict[str, float]) -> dict[str, Any]:
    return {"kind": "torch", "name": name, "precision": precision, "ways": ways}


def _convolution_rows(
    name: str, precision: str, shape: tuple, size: int, filters: int, geometry: dict
) -> Iterator[dict]:
    pixels = shape[0] * shape[1] * shape[2]
    moved = (
        (2 if precision == "bf16" else 4)
        * pixels
        * (shape[3] + filters // geometry.get("stride", 1) ** 2)
    )
    for what, ways in convolution(shape, size, filters, geometry, precision, copies(moved)).items():
        if ways:
            yield _row(f"{name}, {what}", precision, ways)


def _memory_rows(precision: str, batch: int) -> Iterator[dict]:
    for name, ways in memory_bound(
        (batch, 56, 56, 64), (32 * batch, 1000), batch << 15, precision
    ).items():
        yield _row(name, precision, ways)


def _step_rows(name: str, images: int, classes: int, precision: str) -> Iterator[dict]:
    yield _row(f"{name}, batch {images}", precision, step(name, images, classes, precision))


def convolution(
    shape: tuple, size: int, filters: int, geometry: dict, precision: str, count: int
) -> dict[str, dict[str, float]]:
    """Pass -> way -> seconds."""
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    stride, padding, groups = (geometry.get(k, v) for k, v in GEOMETRY.items())
    found: dict[str, dict[str, float]] = {name: {} for name in PASSES}
    for layout in (torch.contiguous_format, torch.channels_last):
        w = torch.randn(filters, shape[3] // groups, size, size, device=DEVICE, dtype=kind).to(
            memory_format=layout
        )
        xs = [
            torch.randn(shape[0], shape[3], *shape[1:3], device=DEVICE, dtype=kind).to(
                memory_format=layout
            )
            for _ in range(count)
        ]
        dys = [
            torch.randn_like(torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups))
            for x in xs
        ]
        turn = iter(range(10**9))

        def backward(mask, w=w, xs=xs, dys=dys, turn=turn):
            i = next(turn) % len(xs)
            rest = [0], [stride, stride], [padding, padding], [1, 1], False, [0, 0], groups, mask
            return torch.ops.aten.convolution_backward(dys[i], xs[i], w, *rest)

        calls: dict[str, Callable] = {
            "forward": lambda w=w, xs=xs, turn=turn: torch.nn.functional.conv2d(
                xs[next(turn) % len(xs)], w, None, stride, padding, 1, groups
            ),
            "input gradient": lambda backward=backward: backward([True, False, False]),
            "weight gradient": lambda backward=backward: backward([False, True, False]),
        }
        for what, call in calls.items():
            if what == "input gradient" and shape[3] == 3:
                continue
            for way, times in _ways(call):
                found[what][f"{str(layout).removeprefix('torch.')}, {way}"] = times
    return found


def _ways(call: Callable) -> Iterator[tuple[str, float]]:
    """Eager, and as a CUDA graph of ten calls."""
    import torch

    yield "eager", statistics.median(torch_times(call))
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = [call() for _ in range(10)]
        yield "graph", statistics.median(torch_times(graph.replay, launches=2)) / 10
        del kept
    except (RuntimeError, AssertionError):
        pass  # what cannot be captured stays eager


def memory_bound(
    shape: tuple, logits_shape: tuple, parameter_size: int, precision: str
) -> dict[str, dict[str, float]]:
    """Operation -> way -> seconds, forward and backward together, as in speed.py."""
    import torch
    from torch.nn import functional as F

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    found: dict[str, dict[str, float]] = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        name = str(layout).removeprefix("torch.")
        for what, call in _image_calls(shape, kind, layout).items():
            for way, seconds in _ways(call):
                found.setdefault(what, {})[f"{name}, {way}"] = seconds
    logits = torch.randn(logits_shape, device=DEVICE, dtype=kind, requires_grad=True)
    labels = torch.randint(0, logits_shape[1], logits_shape[:1], device=DEVICE)
    found["softmax cross-entropy"] = dict(
        _ways(lambda: torch.autograd.grad(F.cross_entropy(logits, labels), logits))
    )
    parameters = [torch.ones(parameter_size, device=DEVICE, requires_grad=True) for _ in range(6)]
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, fused=True)
    found["SGD with momentum"] = dict(_ways(optimizer.step))
    return found


def _image_calls(shape: tuple, kind: Any, layout: Any) -> dict[str, Callable[[], Any]]:
    """The memory-bound operations on images, on rotating buffers."""
    import torch
    from torch.nn import functional as F

    count = copies(shape[0] * shape[1] * shape[2] * shape[3] * kind.itemsize)
    images = (
        torch.randn(shape[0], shape[3], *shape[1:3], device=DEVICE, dtype=kind)
        for _ in range(count)
    )
    xs = [x.to(memory_format=layout).requires_grad_() for x in images]
    dys = [torch.randn_like(x) for x in xs]
    pooled = [torch.randn_like(F.max_pool2d(x, 2)) for x in xs]
    gamma, beta, mean, var = (torch.ones(shape[3], device=DEVICE) for _ in range(4))
    gamma.requires_grad_(), beta.requires_grad_()
    turn = iter(range(10**9))

    def both(forward: Callable, upstream: list, *others: Any) -> None:
        i = next(turn) % len(xs)
        torch.autograd.grad(forward(xs[i]), (xs[i], *others), upstream[i])

    def norm(x: Any) -> Any:
        return F.relu(F.batch_norm(x, mean, var, gamma, beta, True), inplace=True)

    def add() -> Any:
        i = next(turn) % len(xs)
        return F.relu(xs[i].detach() + dys[i], inplace=True)

    return {
        "LRN": lambda: both(lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0), dys),
        "max pool 2x2": lambda: both(lambda x: F.max_pool2d(x, 2), pooled),
        "batch norm + ReLU": lambda: both(norm, dys, gamma, beta),
        "add + ReLU": add,
    }


def step(name: str, n: int, classes: int, precision: str) -> dict[str, float]:
    """Way -> seconds, of the tests' twin of the network."""
    import torch

    twins = importlib.import_module("tests.models.twins")

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    cross_entropy, found = torch.nn.functional.cross_entropy, {}
    shape = registry.create(name, num_classes=classes).input_shape
    for layout in (torch.contiguous_format, torch.channels_last):
        for way in ("eager", "graph"):
            model = (
                twins.pair(name, classes, full=True)[1](None)
                .to(DEVICE)
                .to(memory_format=layout)
                .train()
            )
            for module in model.modules():
                if isinstance(module, torch.nn.ReLU):
                    module.inplace = True
            x = torch.randn(n, shape[2], *shape[:2], device=DEVICE).to(memory_format=layout)
            labels = torch.randint(0, classes, (n,), device=DEVICE)
            optimizer = torch.optim.SGD(
                model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=True
            )

            def work(call=model, x=x, labels=labels, optimizer=optimizer):
                with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = call(x)
                    main, *others = outputs if isinstance(outputs, tuple) else (outputs,)
                    loss = cross_entropy(main, labels) + 0.3 * sum(
                        cross_entropy(o, labels) for o in others
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

            label = f"{str(layout).removeprefix('torch.')}, {way}"
            try:
                found[label] = _step_time(work, way == "graph")
            except (
                RuntimeError,
                AssertionError,
            ) as error:  # what cannot be captured or compiled here is left out, and said
                print(f"  PyTorch, {name}, {label}: {str(error).splitlines()[0]}")
            del model, optimizer, work
            if DEVICE == "cuda":
                torch.cuda.empty_cache()
    return found


def _step_time(work, as_graph: bool) -> float:
    import torch

    if not as_graph:
        return statistics.median(torch_times(work, launches=5))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return statistics.median(torch_times(graph.replay, launches=5))
