"""Single operations beside PyTorch's: convolutions, pooling, normalization, losses, updates.

    python benchmarks/layers.py [GROUP ...] [--rounds 2] [--repeats 5] [--threads N] [--publish]

Groups: conv (shapes of VGG and ResNet, and the five layers of soumith's convnet-benchmarks, batch
16), depthwise (one group per channel, shapes of MobileNet), memory (operations limited by memory
bandwidth). Only the forward or backward pass is timed, on
existing arrays. PyTorch runs in the better of its two layouts. The floor is the larger of the FLOPs
at the measured peak and the bytes at the measured bandwidth of a copy; every array counts once.
Errors are those of minicnn against float64, on one image. Writes layers.{json,md}.
"""

import argparse
import json
import os
import statistics
import sys
import time

import common
import numpy as np

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


def median_time(call, repeats: int) -> float:
    """Seconds: the median of at least `repeats` calls and 0.2 s of them, after a warm-up."""
    for least in (2, repeats):
        times: list[float] = []
        while len(times) < least or sum(times) < 0.2:
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def run_minicnn(groups, repeats: int) -> dict[str, float]:
    from minicnn.kernels import functional as F
    from minicnn.kernels.cpu.engine import memory

    generator = np.random.default_rng(0)

    def draw(*shape):
        """Arrays as layers get them: they start on a cache line, as PyTorch's do."""
        return generator.standard_normal(out=memory.empty(shape), dtype=np.float32)

    found = {}
    for name, (n, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x, w, b = draw(n, size, size, c), draw(r, r, c // g, k), draw(k)
        geometry = stride, pad, 1, g
        dy = draw(*F.conv2d(x, w, b, *geometry).shape)
        calls = (
            lambda: F.conv2d(x, w, b, *geometry),
            lambda: F.conv2d_grad_input(dy, w, x.shape, *geometry),
            lambda: F.conv2d_grad_weight(dy, x, w.shape, *geometry),
        )
        found |= {
            f"{name}: {which}": median_time(call, repeats)
            for which, call in zip(PASSES, calls, strict=True)
        }

    def lrn(x, dy):
        y, scale = F.local_response_norm(x)
        F.local_response_norm_grad(dy, x, y, scale)

    def max_pool(x, dy, *window):
        y, argmax = F.max_pool2d(x, *window)
        F.max_pool2d_grad(y, argmax, x.shape, *window)

    def average_pool(x, dy):
        F.avg_pool2d_grad(F.avg_pool2d(x, 2), x.shape, 2)

    def batch_norm(x, dy):
        _, mean, inv_std = F.batch_norm(
            x, ones, zeros, zeros.copy(), ones.copy(), activation="relu"
        )
        F.batch_norm_grad(dy, x, ones, mean, inv_std, beta=zeros, activation="relu")

    def linear(x, dy):
        F.linear(x, w, b)
        F.linear_grad_input(dy, w)
        F.linear_grad_weight(dy, x)

    calls = {
        "LRN, AlexNet's first": lrn,
        "max pool 3x3/2": lambda x, dy: max_pool(x, dy, 3, 2, 1),
        "max pool 2x2": lambda x, dy: max_pool(x, dy, 2),
        "average pool 2x2": average_pool,
        "batch norm + ReLU": batch_norm,
        "ReLU": lambda x, dy: F.relu_grad(dy, F.relu(x)),
        "residual add + ReLU": lambda x, dy: F.relu_grad(dy, F.add(x, dy, "relu")),
        "softmax cross-entropy": lambda x, dy: F.softmax_cross_entropy(x, labels),
        "SGD step, 25 million": lambda x, dy: F.sgd_update([x], [dy], [v], [1e-3], [5e-4], 0.9),
        "Adam step, 25 million": lambda x, dy: F.adam_update([x], [dy], [v], [u], [1e-3], [0.0], 1),
        "linear 4096-4096, batch 4, forward + backward": linear,
        "linear 4096-4096, batch 64, forward + backward": linear,
    }
    ones, zeros = np.ones(64, np.float32), np.zeros(64, np.float32)
    labels = generator.integers(0, 1000, 256)
    for name, (shape, _) in MEMORY.items() if "memory" in groups else ():
        x, dy = draw(*shape), draw(*shape)
        v, u = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        if "linear" in name:
            w, b = draw(4096, 4096), draw(4096)
        found[name] = median_time(lambda: calls[name](x, dy), repeats)
    return found


def run_torch(groups, repeats: int, layout: str) -> dict[str, float]:
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    memory_format = getattr(torch, f"{layout}_format", None) or getattr(torch, layout)
    found = {}
    for name, (n, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x = torch.randn(n, c, size, size).to(memory_format=memory_format)
        w, b = torch.randn(k, c // g, r, r).to(memory_format=memory_format), torch.randn(k)
        dy = torch.randn_like(F.conv2d(x, w, b, stride, pad, 1, g))

        def backward(*mask):
            torch.ops.aten.convolution_backward(
                dy, x, w, [k], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], g, mask
            )

        calls = (
            lambda: F.conv2d(x, w, b, stride, pad, 1, g),
            lambda: backward(True, False, False),
            lambda: backward(False, True, True),
        )
        with torch.no_grad():
            found |= {
                f"{name}: {which}": median_time(call, repeats)
                for which, call in zip(PASSES, calls, strict=True)
            }

    def both(function):
        """Forward and backward of a function of x."""

        def call(x, dy):
            y = function(x)
            y.backward(dy[: y.shape[0]] if dy.shape == y.shape else torch.ones_like(y))
            x.grad = None

        return call

    def linear(x, dy):
        F.linear(x, weight, bias).backward(dy)
        x.grad = weight.grad = bias.grad = None

    labels = torch.randint(0, 1000, (256,))
    gamma, beta = torch.ones(64, requires_grad=True), torch.zeros(64, requires_grad=True)
    mean, var = torch.zeros(64), torch.ones(64)

    def batch_norm(x, dy):
        torch.relu_(F.batch_norm(x, mean, var, gamma, beta, True)).backward(dy)
        x.grad = gamma.grad = beta.grad = None

    calls = {
        "LRN, AlexNet's first": both(lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)),
        "max pool 3x3/2": both(lambda x: F.max_pool2d(x, 3, 2, 1)),
        "max pool 2x2": both(lambda x: F.max_pool2d(x, 2)),
        "average pool 2x2": both(lambda x: F.avg_pool2d(x, 2)),
        "batch norm + ReLU": batch_norm,
        "ReLU": both(torch.relu),
        "residual add + ReLU": lambda x, dy: both(lambda x: torch.relu_(x + dy))(x, dy),
        "softmax cross-entropy": both(lambda x: F.cross_entropy(x, labels)),
        "linear 4096-4096, batch 4, forward + backward": linear,
        "linear 4096-4096, batch 64, forward + backward": linear,
    }
    for name, (shape, _) in MEMORY.items() if "memory" in groups else ():
        if "step" in name:
            parameter = torch.randn(shape, requires_grad=True)
            parameter.grad = torch.randn(shape)
            kind = torch.optim.SGD if "SGD" in name else torch.optim.Adam
            options = {"momentum": 0.9, "weight_decay": 5e-4} if "SGD" in name else {}
            optimizer = kind([parameter], lr=1e-3, fused=True, **options)
            found[name] = median_time(optimizer.step, repeats)
            continue
        shape = shape if len(shape) == 2 else (shape[0], shape[3], shape[1], shape[2])
        x, dy = torch.randn(shape), torch.randn(shape)
        if len(shape) == 4:
            x, dy = x.to(memory_format=memory_format), dy.to(memory_format=memory_format)
        if "linear" in name:
            weight, bias = (
                torch.randn(4096, 4096, requires_grad=True),
                torch.randn(4096, requires_grad=True),
            )
        x.requires_grad_()
        found[name] = median_time(lambda: calls[name](x, dy), repeats)
    return found


def errors(groups) -> dict[str, float]:
    """Our relative L2 error against float64 in every pass of every convolution, on one image."""
    from minicnn.kernels import functional as F

    generator, found = np.random.default_rng(0), {}
    for name, (_, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x, w = (
            generator.standard_normal((1, size, size, c), dtype=np.float32),
            generator.standard_normal((r, r, c // g, k), dtype=np.float32),
        )
        b, geometry = np.zeros(k, np.float32), (stride, pad, 1, g)
        exact = F.conv2d(x.astype(float), w.astype(float), b.astype(float), *geometry)
        dy = generator.standard_normal(exact.shape, dtype=np.float32)
        pairs = zip(
            PASSES,
            (
                F.conv2d(x, w, b, *geometry),
                F.conv2d_grad_input(dy, w, x.shape, *geometry),
                F.conv2d_grad_weight(dy, x, w.shape, *geometry)[0],
            ),
            (
                exact,
                F.conv2d_grad_input(dy.astype(float), w.astype(float), x.shape, *geometry),
                F.conv2d_grad_weight(dy.astype(float), x.astype(float), w.shape, *geometry)[0],
            ),
            strict=True,
        )
        found |= {
            f"{name}: {which}": float(np.linalg.norm(a - e) / np.linalg.norm(e))
            for which, a, e in pairs
        }
    return found


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


GROUPS = ("conv", "depthwise", "memory")
SIDES = ("minicnn", "torch contiguous", "torch channels_last")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("groups", nargs="*", default=GROUPS, help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=2, help="how often the sides take turns")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--side", help=argparse.SUPPRESS
    )  # used by this script itself: measure one side and print it
    options = parser.parse_args()
    if set(options.groups) - set(GROUPS):
        parser.error(f"unknown group in {options.groups}; expected {', '.join(GROUPS)}")
    if options.side == "minicnn":
        return print(json.dumps(run_minicnn(options.groups, options.repeats)))
    if options.side:
        return print(
            json.dumps(run_torch(options.groups, options.repeats, options.side.split()[1]))
        )

    sides = [side for side in SIDES if common.has_torch() or side == "minicnn"]
    machine = common.machine(options.threads)
    found = common.interleaved(
        __file__,
        sides,
        options.rounds,
        options.threads,
        [*options.groups, f"--repeats={options.repeats}"],
    )
    exact = errors(options.groups)
    rows = []
    for name in found["minicnn"][0]:
        times = {side: statistics.median(run[name] for run in runs) for side, runs in found.items()}
        best = min((t for side, t in times.items() if side != "minicnn"), default=None)
        work, least = floor(name, machine["flops"], machine["bytes"])
        mine = times["minicnn"]
        rows.append(
            {
                **{
                    "operation": name,
                    "minicnn": mine,
                    "torch": best,
                    "ratio": best and best / mine,
                },
                **{"gflops": work / mine / 1e9, "of_floor": least / mine, "error": exact.get(name)},
            }
        )
    lines = [
        "| operation | ms | PyTorch | ratio | GFLOP/s | of the floor | error |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        theirs, ratio = (f"{r['torch'] * 1e3:.2f}", f"{r['ratio']:.2f}") if r["torch"] else ("", "")
        speed, error = (
            f"{r['gflops']:.0f}" if r["gflops"] else "",
            f"{r['error']:.0e}" if r["error"] is not None else "",
        )
        lines.append(
            f"| {r['operation']} | {r['minicnn'] * 1e3:.2f} | {theirs} | {ratio} | {speed} "
            f"| {r['of_floor']:.0%} | {error} |"
        )
    for which in PASSES:
        ratios = [r["ratio"] for r in rows if r["operation"].endswith(which) and r["ratio"]]
        if ratios:
            mean = statistics.geometric_mean(ratios)
            lines.append(f"| geometric mean, {which} | | | **{mean:.2f}** | | | |")
    common.report(
        "layers",
        "\n".join(lines),
        options,
        {"machine": machine, "rows": rows, "raw": found},
    )


if __name__ == "__main__":
    sys.exit(main())
