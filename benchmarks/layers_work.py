"""The operations of layers.py: their shapes, the floor of their time, and how a call is timed."""

import statistics
import time

import numpy as np

GROUPS = ("conv", "depthwise", "memory")
PASSES = ("forward", "grad input", "grad weight")
CONVS = {  # n, c, k, size, kernel, stride, padding
    "VGG 3-64, 224": (4, 3, 64, 224, 3, 1, 1),
    "VGG 64-64, 224": (4, 64, 64, 224, 3, 1, 1),
    "VGG 128-128, 112": (4, 128, 128, 112, 3, 1, 1),
    "VGG 256-256, 56": (4, 256, 256, 56, 3, 1, 1),
    "VGG 512-512, 28": (4, 512, 512, 28, 3, 1, 1),
    "VGG 512-512, 14": (4, 512, 512, 14, 3, 1, 1),
    "ResNet 7x7 3-64, 224/2": (16, 3, 64, 224, 7, 2, 3),
    "ResNet 64-64, 56": (16, 64, 64, 56, 3, 1, 1),
    "ResNet 128-128, 28": (16, 128, 128, 28, 3, 1, 1),
    "ResNet 256-256, 14": (16, 256, 256, 14, 3, 1, 1),
    "ResNet 512-512, 7": (16, 512, 512, 7, 3, 1, 1),
    "ResNet 64-128, 56/2": (16, 64, 128, 56, 3, 2, 1),
    "ResNet 1x1 64-256, 56": (8, 64, 256, 56, 1, 1, 0),
    "ResNet 1x1 256-64, 56": (8, 256, 64, 56, 1, 1, 0),
    "ResNet 1x1 512-1024, 28/2": (8, 512, 1024, 28, 1, 2, 0),
    "ResNet 1x1 1024-256, 14": (8, 1024, 256, 14, 1, 1, 0),
    "convnet-benchmarks L1, 11x11 3-96, 128": (16, 3, 96, 128, 11, 1, 0),
    "convnet-benchmarks L2, 9x9 64-128, 64": (16, 64, 128, 64, 9, 1, 0),
    "convnet-benchmarks L3, 9x9 128-128, 32": (16, 128, 128, 32, 9, 1, 0),
    "convnet-benchmarks L4, 7x7 128-128, 16": (16, 128, 128, 16, 7, 1, 0),
    "convnet-benchmarks L5, 3x3 384-384, 13": (16, 384, 384, 13, 3, 1, 0),
}
DEPTHWISE = {  # the same
    f"depthwise {r}x{r} {c}, {size}/{stride}": (16, c, c, size, r, stride, r // 2)
    for r, c, size, stride in (
        *((3, 32, 112, 1), (3, 64, 112, 2), (3, 128, 56, 1), (3, 128, 56, 2)),
        *((3, 512, 14, 1), (3, 512, 14, 2), (3, 1024, 7, 1), (3, 1024, 7, 2)),
        *((5, 128, 56, 1), (5, 128, 56, 2), (5, 512, 14, 1), (5, 512, 14, 2)),
    )
}
MEMORY = {  # name: (shape, arrays that pass through memory, forward and backward)
    "LRN, AlexNet's first": ((16, 55, 55, 96), 6),
    "max pool 3x3/2": ((16, 112, 112, 64), 2.5),
    "max pool 2x2": ((4, 224, 224, 64), 2.5),
    "average pool 2x2": ((16, 112, 112, 64), 2.5),
    "batch norm + ReLU": ((16, 56, 56, 64), 7),
    "ReLU": ((16, 56, 56, 64), 5),
    "residual add + ReLU": ((16, 56, 56, 64), 6),
    "softmax cross-entropy": ((256, 1000), 2),
    "SGD step, 25 million": ((25_000_000,), 5),
    "Adam step, 25 million": ((25_000_000,), 7),
    "linear 4096-4096, batch 4, forward + backward": ((4, 4096), None),
    "linear 4096-4096, batch 64, forward + backward": ((64, 4096), None),
}


def convolutions(groups) -> dict[str, tuple[int, ...]]:
    """The convolutions of these groups of operations; their last number is that of the groups."""
    plain = {name: (*sizes, 1) for name, sizes in CONVS.items()} if "conv" in groups else {}
    if "depthwise" not in groups:
        return plain
    return plain | {name: (*sizes, sizes[1]) for name, sizes in DEPTHWISE.items()}


def floor(name: str, flops: float, bandwidth: float) -> tuple[float, float]:
    """The FLOPs of the plain sum, and the least time in seconds."""
    conv, _, _ = name.partition(": ")
    known = convolutions(GROUPS)
    if conv in known:
        n, c, k, size, r, stride, pad, g = known[conv]
        out = (size + 2 * pad - r) // stride + 1
        work, traffic = (
            2 * n * out * out * k * r * r * c // g,
            4 * (n * size * size * c + n * out * out * k + r * r * c // g * k),
        )
    else:
        shape, arrays = MEMORY[name]
        if arrays is None:
            work, traffic = 6 * shape[0] * 4096 * 4096, 4 * 3 * 4096 * 4096
        else:
            work, traffic = 0, 4 * arrays * int(np.prod(shape))
    return work, max(work / flops, traffic / bandwidth)


def median_time(call, repeats: int) -> float:
    """Seconds: the median of at least `repeats` calls and 0.2 s of them, after a warm-up."""
    for least in (2, repeats):
        times: list[float] = []
        while len(times) < least or sum(times) < 0.2:
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return statistics.median(times)
