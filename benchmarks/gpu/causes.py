"""The time of a training step by kernel, ours and PyTorch's, and what lies between the kernels.

torch's profiler (CUPTI) measures one replay of a step's graph; it sees all kernels of the process,
also CuPy's. Without it, events around each launch of an eager step measure ours: each time then
includes about a microsecond of the events.
"""

import re
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from minicnn.device import runtime

from . import environment, launches, torch_steps
from .parts import Task
from .steps import STEPS, TINY_STEPS, training_step
from .torch_side import first_line, layouts

NETWORKS = ("resnet50", "lenet5", "vgg16", "googlenet", "alexnet")
SHOWN = 25  # kernels in the results
BUSY = 1 << 28  # bytes of each copy that keeps the device busy while launches are queued
COPIES = 40  # some ten milliseconds

# The first group whose pattern is in a kernel's name: those of kernels/cuda, cuDNN, cuBLAS, ATen.
GROUPS = {
    "copies": r"memcpy|memset|nchwtonhwc|nhwctonchw|nchw_to|nhwc_to|^convert$|^resize$|^batch$"
    r"|^arrange$|copy_kernel|direct_copy|catarray|transpose",
    "pooling": r"pool|adaptive_max|^global_avg",
    "normalization": r"batch_?norm|bn_fw|bn_bw|group_?norm|layer_?norm|lrn|^statistics$|^moments$"
    r"|^normalize|^gradient_(sums|totals)$|^group_sums$|^fixed_statistics$|^fold$",
    "loss": r"soft_?max|cross_entropy|nll|mean_loss|tally|mean_squared",
    "optimizer": r"^sgd$|^adam$|^rmsprop$|multi_tensor|foreach|fused_sgd|fused_adam",
    "depthwise convolutions": r"^sums$|^weight_(sums|totals)$|depthwise",
    "sums of parts": r"^finish$|^bias_(totals|sums)$|^prelu_totals$|splitk|split_k",
    "weight gradient": r"grad_weight|wgrad|backward_?filter",
    "input gradient": r"grad_input|dgrad|backward_?data|backward_?input",
    "forward products": r"^forward$|^convolve$|fprop|conv|gemm|winograd|nvjet|cutlass|xmma",
    "activations": r"^apply|^add$|^dropout|elementwise|relu|^prelu",
    "sums": r"reduce",
}
OTHER = "other"

Kernels = dict[str, tuple[int, float]]  # name: launches, and their seconds


def tasks(precision: str, tiny: bool, has_torch: bool) -> Iterator[Task]:
    """A table for each network, then PyTorch's of the same."""
    has_torch = has_torch and environment.has_torch()
    chosen = TINY_STEPS if tiny else {name: STEPS[name] for name in NETWORKS}
    for name, (batch, classes) in chosen.items():
        yield name, partial(_ours, name, precision, batch, classes, has_torch, tiny)
        if has_torch:
            yield f"{name}, PyTorch", partial(_theirs, name, precision, batch, classes)


def group_of(kernel: str) -> str:
    """The group of a kernel's name."""
    name = kernel.lower()
    return next((group for group, found in GROUPS.items() if re.search(found, name)), OTHER)


def _row(
    name: str, precision: str, side: str, how: str, wall: float, kernels: Kernels
) -> dict[str, Any]:
    """A line of the results; `wall`: the seconds of a replay of the whole graph."""
    groups: dict[str, float] = {}
    for kernel, (_, seconds) in kernels.items():
        groups[group_of(kernel)] = groups.get(group_of(kernel), 0.0) + seconds
    slowest = sorted(kernels.items(), key=lambda item: -item[1][1])[:SHOWN]
    return {
        "kind": "cause",
        "name": name,
        "precision": precision,
        "side": side,
        "how": how,
        "wall": wall,
        "gaps": wall - sum(groups.values()),
        "groups": groups,
        "kernels": [[kernel[:80], *numbers] for kernel, numbers in slowest],
    }


def _ours(
    name: str, precision: str, batch: int, classes: int, has_torch: bool, tiny: bool
) -> Iterator[dict]:
    step, _ = training_step(name, batch, classes, precision)
    launches.compile_ahead(lambda: step(0))
    wall = statistics.median(runtime().times(step, launches=1))
    how, kernels = "", Kernels()
    if has_torch:
        graph = runtime().capture(lambda: step(0))
        how, kernels = profiled(graph.launch)
    if not kernels:
        how, kernels = (
            f"events{how and f' ({how})'}",
            by_events(lambda: step(0), 4096 if tiny else BUSY),
        )
    yield _row(f"{name}, batch {batch}", precision, "ours", how, wall, kernels)


def _theirs(name: str, precision: str, batch: int, classes: int) -> Iterator[dict]:
    """Of channels_last as a graph, or eager where that cannot be captured."""
    import torch

    layout = layouts()[1][1]
    model, shape = torch_steps.twin(name, classes)
    model = model.train().to(memory_format=layout)
    labels = torch.randint(0, classes, (batch,), device=torch_steps.torch_side.DEVICE)
    images = torch_steps.images(batch, shape, layout)
    work = torch_steps.training_step(model, images, labels, precision)
    try:
        call, way = torch_steps.captured(work).replay, "graph"
    except (RuntimeError, AssertionError):
        call, way = work, "eager"
    wall = statistics.median(torch_steps.torch_times(call, launches=2))
    how, kernels = profiled(call)
    if not kernels:
        raise RuntimeError(how)
    yield _row(f"{name}, batch {batch}", precision, "PyTorch", f"{how}, {way}", wall, kernels)


def profiled(call: Callable[[], Any]) -> tuple[str, Kernels]:
    """How the kernels of a call were measured; and they, none where CUPTI is not to be had.

    The first profile of a process may miss kernels, so the second counts.
    """
    try:
        import torch
        from torch.profiler import ProfilerActivity, profile

        for _ in range(2):
            with profile(activities=[ProfilerActivity.CUDA]) as watched:
                call()
                torch.cuda.synchronize()
        found = {
            event.key: (event.count, event.self_device_time_total / 1e6)
            for event in watched.key_averages()
            if event.self_device_time_total > 0
        }
    except Exception as error:  # whatever it is, events measure the kernels then
        return f"the profiler failed: {first_line(error)}", {}
    return ("CUPTI" if found else "the profiler saw no kernel"), found


def by_events(work: Callable[[], Any], busy: int) -> Kernels:
    """Our kernels in a call; CuPy's own are not among them.

    Copies of `busy` bytes keep the device at work meanwhile, so that no event waits for the host.
    """
    run, stamps = runtime(), []
    launch = run.launch

    def stamped(file: Any, name: str, *rest: Any) -> None:
        start = run.stamp()
        launch(file, name, *rest)
        stamps.append((name, start, run.stamp()))

    a, b = (run.empty((busy // 4,), np.float32) for _ in range(2))
    work()
    with mock.patch.object(run, "launch", stamped):
        for _ in range(COPIES):
            b[...] = a
        work()
    found: Kernels = {}
    for name, start, end in stamps:
        count, seconds = found.get(name, (0, 0.0))
        found[name] = count + 1, seconds + run.seconds_between(start, end)
    return found
