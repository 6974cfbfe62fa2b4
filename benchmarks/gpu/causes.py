"""The time of a training step by kernel, of one replay of its graph.

torch's profiler measures them: it sees all kernels of the process, also those of CuPy.
"""

from collections.abc import Iterator
from functools import partial

from minicnn.device import runtime

from .parts import Task
from .speed import STEPS, training_step

NETWORKS = ("lenet5", "resnet50", "vgg16")
SHOWN = 12  # kernels


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A table for each network."""
    for name in () if tiny else NETWORKS:
        yield name, partial(_kernels, name, precision, *STEPS[name])


def _kernels(name: str, precision: str, images: int, classes: int) -> Iterator[dict]:
    import torch
    from torch.profiler import ProfilerActivity, profile

    step, _ = training_step(name, images, classes, precision)
    for i in range(2):
        step(i)
    graph = runtime().capture(lambda: step(0))
    graph.launch()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as watched:
        graph.launch()
        torch.cuda.synchronize()
    found = sorted(
        ((e.key, e.count, e.self_device_time_total) for e in watched.key_averages()),
        key=lambda e: -e[2],
    )
    kernels = [
        [key[:60], count, round(microseconds, 1)] for key, count, microseconds in found[:SHOWN]
    ]
    total = round(sum(microseconds for *_, microseconds in found), 1)
    yield {
        "kind": "cause",
        "name": f"{name}, batch {images}",
        "precision": precision,
        "microseconds": total,
        "kernels": kernels,
    }
