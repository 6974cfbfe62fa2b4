"""LeNet-5's training step at batch 64, ours and PyTorch's side by side, and what that makes of an epoch of MNIST.

    python benchmarks/lenet_mnist.py [--repeats 5] [--threads N]

The step is forward, loss, backward and SGD with momentum and weight decay, on the same random images. PyTorch runs in the better of its
two layouts. Each measurement is a process of its own; the sides take turns. Writes benchmarks/results/lenet_mnist.{json,md}.
"""

import argparse
import json
import os
import statistics
import sys
import time

import common
import numpy as np

BATCH, STEPS, WARM_UP = 64, 100, 20
STEPS_PER_EPOCH = 938  # 60,000 images


def batch():
    generator = np.random.default_rng(0)
    return generator.standard_normal((BATCH, 32, 32, 1)).astype(np.float32), generator.integers(0, 10, BATCH)


def time_steps(step) -> float:
    """The median time of one step, in seconds."""
    times = []
    for i in range(WARM_UP + STEPS):
        started = time.perf_counter()
        step()
        if i >= WARM_UP:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def ours(backend):
    import minicnn
    from minicnn import models, training

    minicnn.use(backend)
    model = models.create("lenet5", seed=0)
    optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x, labels = batch()

    def step():
        _, gradient = minicnn.softmax_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()

    return time_steps(step)


def torchs(layout):
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    x, labels = batch()
    x, labels = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(labels)
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return time_steps(step)


SIDES = {
    "minicnn reference": lambda: ours("reference"),
    "torch contiguous": lambda: torchs("contiguous"),
    "torch channels_last": lambda: torchs("channels_last"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", nargs="?", choices=SIDES, help="measure one side and print it (used by this script itself)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.side:
        print(json.dumps(SIDES[options.side]()))
        return
    sides = [side for side in SIDES if common.has_torch() or not side.startswith("torch")]
    results = common.in_turn(__file__, sides, options.repeats, options.threads)
    best = min((statistics.median(v) for side, v in results.items() if side.startswith("torch")), default=None)
    lines = ["| LeNet-5, batch 64 | ms a step (min-max) | s an epoch | PyTorch's time / this |", "|---|---:|---:|---:|"]
    for side, values in results.items():
        median = statistics.median(values)
        ratio = f"{best / median:.2f}" if best else ""
        lines.append(f"| {side} | {common.median_range(values, 1e3)} | {median * STEPS_PER_EPOCH:.1f} | {ratio} |")
    common.report("lenet_mnist", "\n".join(lines), options.threads, {"seconds_per_step": results})


if __name__ == "__main__":
    sys.exit(main())
