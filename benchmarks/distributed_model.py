"""A model of communication: latency, bandwidth, and what backward hides.

    python benchmarks/distributed_model.py

The sum of a bucket of b bytes over n workers takes two times n - 1 messages of b / n bytes, one
after the other (pairwise exchange and ring; Thakur, Rabenseifner & Gropp 2005, sections 4.1, 4.3):

    T(b) = 2 (n - 1) (latency + b / (n bandwidth))

Bucket k is full when the backward of its layers is over, at f_k, and the buckets share a link:

    e_k = max(f_k, e_(k-1)) + T(b_k)        step = max(computation, e_last)

f_k follows from the multiply-accumulates: forward is a third of the computation and backward two.
The efficiency is computation / step. Left out are slow workers, and the processor's work for
messages, so a measured efficiency is lower.
"""

import sys
from collections.abc import Sequence

import numpy as np

# Seconds of a step: 64 images at the images per second of TensorFlow's benchmarks (2017) on a P100;
# for LeNet, the step of 64 images of benchmarks/results/models.md, on two cores.
# ResNet-101 is taken as the mean of ResNet-50 and ResNet-152 (219 and 91.8 images per second).
P100 = {"resnet50": 64 / 219, "resnet101": 32 / 219 + 32 / 91.8, "vgg16": 64 / 154}
COMPUTATION = {"lenet5": 0.00121, "resnet50": P100["resnet50"], "vgg16": P100["vgg16"]}
NETWORKS = {"10 Gb/s": (25e-6, 1.25e9), "100 Gb/s": (3e-6, 12.5e9)}  # latency, bytes per second
HOROVOD = (3e-6, 25e9 / 8)  # RoCE of 25 Gb/s, for 4 GPUs of a server: a ring passes it once
WORKERS = (8, 64, 512)


def fitted(messages: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Latency in seconds, and seconds per byte, of measured `[bytes, seconds]`.

    Least squares of the relative errors, so that small messages count as much as large ones.
    """
    sizes, seconds = np.array(messages, np.float64).T
    terms = np.stack([np.ones_like(sizes), sizes], axis=1) / seconds[:, None]
    latency, per_byte = np.linalg.lstsq(terms, np.ones_like(seconds), rcond=None)[0]
    return float(max(latency, 0.0)), float(per_byte)


def seconds_of(size: float, workers: int, latency: float, bandwidth: float) -> float:
    """T(b)."""
    return 2 * (workers - 1) * (latency + size / workers / bandwidth)


def step(
    buckets: Sequence[tuple[float, float]],
    computation: float,
    workers: int,
    latency: float,
    bandwidth: float,
    overlap: bool = True,
) -> float:
    """Seconds. buckets: bytes, and the fraction of the computation after which each is full."""
    end = 0.0
    for size, fraction in buckets:
        begin = fraction * computation if overlap else computation
        end = max(end, begin) + seconds_of(size, workers, latency, bandwidth)
    return max(computation, end)


def buckets_of(name: str, workers: int) -> list[tuple[float, float]]:
    """The buckets of a network in the order of backward: bytes, and when each is full."""
    from minicnn import models
    from minicnn.distributed.buckets import bucket_size, divided
    from minicnn.layers.init import skip_init
    from minicnn.study import summarize

    with skip_init():
        net = models.create(name)
    rows = [row for row in reversed(summarize(net).rows) if row.parameters]
    done = np.cumsum([row.macs for row in rows]) / sum(row.macs for row in rows)
    sizes = [4 * row.parameters for row in rows]
    groups = divided(sizes, bucket_size(sum(sizes), workers))
    return [(float(sum(sizes[i] for i in g)), float(1 + 2 * done[g[-1]]) / 3) for g in groups]


def predictions() -> str:
    """A table of predicted efficiencies."""
    lines = [
        "| network | link | " + " | ".join(f"{n} workers" for n in WORKERS) + " |",
        "|---|---|" + "---:|" * len(WORKERS),
    ]
    for name, computation in COMPUTATION.items():
        for link, constants in NETWORKS.items():
            shown = []
            for n in WORKERS:
                buckets = buckets_of(name, n)
                with_it, without = (
                    computation / step(buckets, computation, n, *constants, overlap=o)
                    for o in (True, False)
                )
                shown.append(f"{with_it:.0%} ({without:.0%})")
            lines.append(f"| {name} | {link} | " + " | ".join(shown) + " |")
    for name, measured in (("resnet101", "90 %"), ("vgg16", "68 %")):
        computation = P100[name]
        buckets = buckets_of(name, 512)
        with_it, without = (
            computation / step(buckets, computation, 512, *HOROVOD, overlap=o)
            for o in (True, False)
        )
        lines.append(
            f"| {name}, Horovod measured {measured} | 25 Gb/s | | | {with_it:.0%} ({without:.0%}) |"
        )
    return "\n".join([*lines, "", "In parentheses: without overlap."])


if __name__ == "__main__":
    sys.exit(print(predictions()))
