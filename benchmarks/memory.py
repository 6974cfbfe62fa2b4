"""Peak memory of a training step, ours and PyTorch's: the largest resident size of a process that does nothing else.

    python benchmarks/memory.py [--threads N]

Two steps (forward, loss, backward, SGD with momentum) of VGG-16 at batch 4 and ResNet-50 at batch 8, 224 x 224 images. PyTorch runs the
twins of the tests in the layout that takes less. Writes benchmarks/results/memory.{json,md}.
"""

import argparse
import json
import os
import resource
import sys
from pathlib import Path

import common
import numpy as np

CASES = {"vgg16": 4, "resnet50": 8}


def batch(name):
    generator = np.random.default_rng(0)
    n = CASES[name]
    return generator.standard_normal((n, 224, 224, 3), dtype=np.float32), generator.integers(0, 1000, n)


def peak() -> int:
    """The largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ours(name):
    import minicnn
    from minicnn import models, training

    model = models.create(name, seed=0)
    optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, labels = batch(name)
    for _ in range(2):
        _, gradient = minicnn.softmax_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()
    return peak()


def torchs(name, layout):
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.models import twins

    class Dropout(torch.nn.Dropout):
        def __init__(self, p, masks):
            super().__init__(p)

    twins.FixedDropout = Dropout
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = twins.vgg("vgg16", None, 1000, 4096) if name == "vgg16" else twins.resnet(1000, (3, 4, 6, 3), bottleneck=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, labels = batch(name)
    x, labels = torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.tensor(labels)
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return peak()


SIDES = {
    "minicnn": ours,
    "torch contiguous": lambda n: torchs(n, "contiguous"),
    "torch channels_last": lambda n: torchs(n, "channels_last"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", nargs="?", help="SIDE/NETWORK: measure one and print it (used by this script itself)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.side:
        side, name = options.side.split("/")
        print(json.dumps(SIDES[side](name)))
        return
    sides = [side for side in SIDES if common.has_torch() or side == "minicnn"]
    results = common.in_turn(__file__, [f"{side}/{name}" for name in CASES for side in sides], 1, options.threads)
    lines = ["| training step | " + " | ".join(sides) + " | ours / torch |", "|---|" + "---:|" * (len(sides) + 1)]
    for name, n in CASES.items():
        values = {side: results[f"{side}/{name}"][0] for side in sides}
        best = min((v for side, v in values.items() if side != "minicnn"), default=None)
        ratio = f"{values['minicnn'] / best:.2f}" if best else ""
        lines.append(f"| {name}, batch {n} | " + " | ".join(f"{v / 2**20:,.0f} MiB" for v in values.values()) + f" | {ratio} |")
    common.report("memory", "\n".join(lines), options.threads, {"peak_bytes": results})


if __name__ == "__main__":
    sys.exit(main())
