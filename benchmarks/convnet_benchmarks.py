"""soumith's convnet-benchmarks: the passes of AlexNet, OverFeat, VGG-A and GoogLeNet.

    python benchmarks/convnet_benchmarks.py [--batch 16] [--own-batch] [--steps 5] [--threads N]
                                            [--publish]

Times a forward pass, and forward with backward. His protocol: random images, no loss, no update; a
gradient of ones goes back through the whole network. His networks: AlexNet in its one-weird-trick
form, OverFeat's fast model, configuration A of VGG, GoogLeNet without auxiliary heads. His batches
(128, and 64 for VGG) with --own-batch, else one that suits a CPU. PyTorch runs in the better of its
layouts. Writes convnet_benchmarks.{json,md}.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import common
import numpy as np

OWN = {"alexnet": 128, "overfeat": 128, "vgg_a": 64, "googlenet": 128}
SIZES = {"alexnet": 224, "overfeat": 231, "vgg_a": 224, "googlenet": 224}
SIDES = ("minicnn", "torch contiguous", "torch channels_last")
OVERFEAT = (
    (96, 11, 4, 0, True),
    (256, 5, 1, 0, True),
    (512, 3, 1, 1, False),
    (1024, 3, 1, 1, False),
    (1024, 3, 1, 1, True),
)


def our_network(name):
    from minicnn import models
    from minicnn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential

    if name != "overfeat":
        options = {"googlenet": {"aux": False}}.get(name, {})
        return models.create(
            {"alexnet": "alexnet_torchvision", "vgg_a": "vgg11"}.get(name, name), seed=0, **options
        )
    layers, channels = [], 3
    for filters, kernel, stride, padding, pooled in OVERFEAT:
        layers += [
            Conv2d(channels, filters, kernel, stride, padding, activation="relu"),
            *([MaxPool2d(2)] if pooled else []),
        ]
        channels = filters
    classifier = [
        Linear(1024 * 36, 3072, activation="relu"),
        Linear(3072, 4096, activation="relu"),
        Linear(4096, 1000),
    ]
    return Sequential(*layers, Flatten(), *classifier)


def their_network(name):
    from torch import nn

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.models import twins

    if name == "alexnet":
        return twins.alexnet_torchvision(None, 1000, 4096)
    if name == "vgg_a":
        return twins.vgg("vgg11", None, 1000, 4096)
    if name == "googlenet":
        return twins.GoogLeNet(None, 1000, "paper", aux=False, side=14)
    layers, channels = [], 3
    for filters, kernel, stride, padding, pooled in OVERFEAT:
        layers += [
            nn.Conv2d(channels, filters, kernel, stride, padding),
            nn.ReLU(),
            *([nn.MaxPool2d(2)] if pooled else []),
        ]
        channels = filters
    classifier = [
        nn.Linear(1024 * 36, 3072),
        nn.ReLU(),
        nn.Linear(3072, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    ]
    return nn.Sequential(*layers, nn.Flatten(), *classifier)


def medians(forward, both, steps: int) -> dict[str, float]:
    """Seconds of a forward pass, and of forward with backward."""
    found = {}
    for what, call in (("forward", forward), ("forward + backward", both)):
        times = []
        for _ in range(2 + steps):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        found[what] = statistics.median(times[2:])
    return found


def measure(side: str, name: str, batch: int, steps: int) -> dict[str, float]:
    x = np.random.default_rng(0).standard_normal(
        (batch, SIZES[name], SIZES[name], 3), dtype=np.float32
    )
    if side == "minicnn":
        network = our_network(name)

        def run_minicnn():
            network.zero_grad()
            network.backward(np.ones_like(network(x)), need_dx=False)

        return medians(lambda: network(x), run_minicnn, steps)
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model, images = their_network(name), torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = True
    if "channels_last" in side:
        model, images = (
            model.to(memory_format=torch.channels_last),
            images.to(memory_format=torch.channels_last),
        )

    def theirs():
        model.zero_grad()
        y = model(images)
        y.backward(torch.ones_like(y))

    return medians(lambda: model(images), theirs, steps)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--own-batch", action="store_true", help="soumith's own batches: 128, and 64 for VGG"
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument(
        "--network", choices=OWN, help=argparse.SUPPRESS
    )  # used by this script itself
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.network, options.batch, options.steps)))
        return
    sides = [side for side in SIDES if common.has_torch() or side == "minicnn"]
    lines = ["| network, batch | pass | ms | PyTorch | ratio |", "|---|---|---:|---:|---:|"]
    raw = {}
    for name, own in OWN.items():
        batch = own if options.own_batch else options.batch
        arguments = [f"--network={name}", f"--batch={batch}", f"--steps={options.steps}"]
        raw[name] = common.interleaved(__file__, sides, 1, options.threads, arguments)
        for what in ("forward", "forward + backward"):
            times = {side: runs[0][what] for side, runs in raw[name].items()}
            best = min((t for side, t in times.items() if side != "minicnn"), default=None)
            theirs, ratio = (
                (f"{best * 1e3:.0f}", f"{best / times['minicnn']:.2f}") if best else ("", "")
            )
            lines.append(
                f"| {name}, {batch} | {what} | {times['minicnn'] * 1e3:.0f} | {theirs} | {ratio} |"
            )
    common.report(
        "convnet_benchmarks" + "_own" * options.own_batch,
        "\n".join(lines),
        options,
        {"seconds": raw},
    )


if __name__ == "__main__":
    sys.exit(main())
