"""Whole networks beside PyTorch's: a training step, an inference, and the peak memory of training.

    python benchmarks/models.py [NETWORK ...] [--rounds 2] [--steps 5] [--threads N] [--compile]
                                [--batch N] [--precision bf16] [--publish]

The step is forward, loss, backward and SGD with momentum and weight decay, on the same random
images; the inference is a forward pass in eval mode without gradients. PyTorch runs the twins of
the tests with its own dropout and in-place ReLUs, in the better of its two layouts, and with
--compile also through torch.compile. Each measurement is a process of its own, and the sides take
turns. Writes models.{json,md,png}, with --compile models_compile.{json,md,png}. With --precision
bf16 both compute products of bfloat16 numbers, PyTorch by autocast and with bfloat16 weights,
whichever is faster, and the files are models_bf16.*; "of peak" is still the peak of float32.
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

from minicnn.machine import peak_memory

BATCHES = {
    "lenet5": 64,
    "alexnet": 32,
    "zfnet": 32,
    "vgg16": 4,
    "googlenet": 16,
    "googlenet_bn": 16,
    "resnet18": 16,
    "resnet50": 8,
    "nin_cifar10": 64,
    "nin_imagenet": 32,
    "inception_v4": 4,
    "squeezenet1_0": 32,
    "mobilenet_v1": 16,
    "mobilenet_v2": 16,
    "densenet121": 8,
    "airbench94": 64,
}
OURS = "minicnn"
LAYOUTS = ("contiguous", "channels_last")
WARM_UP = 2
CLASSES = 10


def batch(shape, n):
    generator = np.random.default_rng(0)
    return generator.standard_normal((n, *shape), dtype=np.float32), generator.integers(
        0, CLASSES, n
    )


def time_of(step, steps: int) -> list[float]:
    """Seconds of each of at least `steps` calls and half a second of them, after a warm-up."""
    for least in (WARM_UP, steps):
        times = []
        while len(times) < least or sum(times) < 0.5:
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
    return times


def measure(train, infer, steps: int, inference_mode) -> dict:
    """Both times, and the peak resident size of training in bytes (None where it is not known)."""
    training, peak = time_of(train, steps), peak_memory()
    with inference_mode():
        return {"train": training, "peak": peak, "inference": time_of(infer, steps)}


def run_minicnn(name: str, n: int, steps: int, precision: str) -> dict:
    import minicnn
    from minicnn import layers, models, training
    from minicnn.training.metrics import loss_of
    from minicnn.training.recorded import Recorded

    minicnn.set_precision(precision)
    model = layers.fuse(models.create(name, seed=0, num_classes=CLASSES))
    optimizer = training.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    x, labels = batch(model.input_shape, n)
    loss = loss_of(model)
    network = Recorded(model)  # as in `fit`

    def train():
        model.train()
        _, gradient = loss(network(x), labels)
        optimizer.zero_grad()
        network.backward(gradient)
        optimizer.step()

    def infer():
        model.eval()(x)

    return measure(train, infer, steps, minicnn.inference_mode)


def run_torch(name: str, n: int, steps: int, layout: str, ways: list[str]) -> dict:
    import torch

    from minicnn import models

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.models import twins

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    _, make = twins.pair(name, CLASSES, full=True)
    model = make(None)
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = True
    x, labels = batch(models.create(name, num_classes=CLASSES).input_shape, n)
    x, labels = torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.tensor(labels)
    if layout == "channels_last":
        model, x = (
            model.to(memory_format=torch.channels_last),
            x.to(memory_format=torch.channels_last),
        )
    if "bf16-weights" in ways:
        model, x = model.bfloat16(), x.bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    run = torch.compile(model) if "compiled" in ways else model
    cross_entropy = torch.nn.functional.cross_entropy

    def precision():
        return torch.autocast("cpu", torch.bfloat16, enabled="bf16-autocast" in ways)

    def train():
        model.train()
        with precision():
            outputs = run(x)
            if isinstance(outputs, tuple):
                loss = cross_entropy(outputs[0], labels) + 0.3 * sum(
                    cross_entropy(o, labels) for o in outputs[1:]
                )
            else:
                loss = cross_entropy(outputs, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def infer():
        model.eval()
        with precision():
            run(x)

    return measure(train, infer, steps, torch.inference_mode)


def macs_of(name: str) -> int:
    """Multiply-accumulates of one image."""
    from minicnn import models
    from minicnn.layers.init import skip_init
    from minicnn.study import summarize

    with skip_init():
        return summarize(models.create(name, num_classes=CLASSES)).macs


def row(name: str, n: int, results: dict[str, list[dict]], peak_flops: float) -> dict:
    """One network's row: medians over all rounds, and the better of PyTorch's variants."""

    def median(side, what):
        return statistics.median(t for run in results[side] for t in run[what])

    theirs = [side for side in results if side != OURS]
    found: dict = {"network": name, "batch": n}
    for what, passes in (("train", 3), ("inference", 1)):
        mine, flops = median(OURS, what), 2 * macs_of(name) * n * passes
        best = min(theirs, key=lambda side: median(side, what)) if theirs else None
        times = [t for run in results[OURS] for t in run[what]]
        found[what] = {
            "minicnn": mine,
            "min": min(times),
            "max": max(times),
            "gflops": flops / mine / 1e9,
            "share_of_peak": flops / mine / peak_flops,
            "torch": median(best, what) if best else None,
            "torch_way": best,
            "ratio": median(best, what) / mine if best else None,
        }
    # The smallest: the first process of a side may compile its kernels, which takes memory.
    peaks = {side: min(run["peak"] or 0 for run in runs) for side, runs in results.items()}
    mine, least = peaks[OURS] or None, min((peaks[side] for side in theirs), default=0) or None
    found["memory"] = {
        "minicnn": mine,
        "torch": least,
        "ratio": mine / least if mine and least else None,
    }
    return found


def table(rows: list[dict]) -> str:
    """The markdown table."""
    lines = [
        "| network, batch | train, ms (min-max) | PyTorch | ratio | of peak "
        "| inference, ms | PyTorch | ratio | memory, MiB | PyTorch | ours / torch |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        train, infer, memory = r["train"], r["inference"], r["memory"]
        span = f"{train['minicnn'] * 1e3:.1f} ({train['min'] * 1e3:.1f}-{train['max'] * 1e3:.1f})"

        def number(value, scale=1.0, digits=1):
            return f"{value * scale:,.{digits}f}" if value is not None else ""

        lines.append(
            f"| {r['network']}, {r['batch']} | {span} | {number(train['torch'], 1e3)} "
            f"| {number(train['ratio'], 1, 2)} | {train['share_of_peak']:.0%} "
            f"| {number(infer['minicnn'], 1e3)} | {number(infer['torch'], 1e3)} "
            f"| {number(infer['ratio'], 1, 2)} | {number(memory['minicnn'], 2**-20, 0)} "
            f"| {number(memory['torch'], 2**-20, 0)} | {number(memory['ratio'], 1, 2)} |"
        )
    ratios = [[r[what]["ratio"] for r in rows] for what in ("train", "inference")]
    if all(ratios[0]):
        train, infer = (statistics.geometric_mean(values) for values in ratios)
        lines.append(f"| geometric mean | | | **{train:.2f}** | | | | **{infer:.2f}** | | | |")
    lines += [
        "",
        "Ratio: PyTorch's time over minicnn's. Of peak: the FLOP/s of the plain sums over",
        "the measured peak of the cores; Winograd's algorithm needs fewer, and may exceed 100 %.",
    ]
    return "\n".join(lines)


def picture(rows: list[dict], path: Path) -> None:
    """How many times PyTorch's speed, a pair of bars for each network."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [r for r in rows if r["train"]["ratio"]]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(rows) + 1.2), layout="constrained")
    places = np.arange(len(rows))[::-1]
    for offset, what, color in ((0.19, "train", "#1b6ca8"), (-0.19, "inference", "#8fc1e3")):
        values = [r[what]["ratio"] for r in rows]
        bars = axes.barh(
            places + offset,
            values,
            0.36,
            color=color,
            label={"train": "training step"}.get(what, what),
        )
        labels = axes.bar_label(bars, [f"{v:.2f}" for v in values], padding=3, fontsize=8)
        for label in labels:  # the line at 1 does not cross a number
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(places, [f"{r['network']}, batch {r['batch']}" for r in rows])
    best = (
        "the best of its layouts, compiled or not"
        if "compile" in path.name
        else "the better of its layouts"
    )
    axes.set_xlabel(f"times PyTorch's speed (1 = as fast; {best})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    figure.savefig(path, dpi=130)


def run_side(side: str, name: str, n: int, steps: int, precision: str) -> dict:
    """One measurement: `minicnn`, or `torch LAYOUT` with ways that follow, such as `compiled`."""
    if side == OURS:
        return run_minicnn(name, n, steps, precision)
    _, layout, *ways = side.split(" ")
    return run_torch(name, n, steps, layout, ways)


def main():
    parser = common.parser(__doc__)
    parser.add_argument(
        "networks", nargs="*", default=list(BATCHES), help=f"of {', '.join(BATCHES)}"
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often the sides take turns")
    parser.add_argument(
        "--steps", type=int, default=5, help="measured steps in each process, after two of warm-up"
    )
    parser.add_argument("--batch", type=int, help="instead of each network's own")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true", help="PyTorch also through torch.compile")
    parser.add_argument(
        "--side", help=argparse.SUPPRESS
    )  # used by this script itself: measure one side and print it
    options = parser.parse_args()
    if options.side:
        (name,) = options.networks
        given = name, options.batch, options.steps, options.precision
        print(json.dumps(run_side(options.side, *given)))
        return
    for name in options.networks:
        if name not in BATCHES:
            parser.error(f"unknown network {name!r}; expected one of {', '.join(BATCHES)}")
    sides = [OURS]
    if common.has_torch():
        ways = [" bf16-autocast", " bf16-weights"] if options.precision == "bf16" else [""]
        ways += [f"{way} compiled" for way in ways] if options.compile else []
        sides += [f"torch {layout}{way}" for layout in LAYOUTS for way in ways]
    peak = common.machine(options.threads)["flops"]
    rows, raw = [], {}
    for name in options.networks:
        n = options.batch or BATCHES[name]
        raw[name] = common.interleaved(
            __file__,
            sides,
            options.rounds,
            options.threads,
            [name, f"--batch={n}", f"--steps={options.steps}", f"--precision={options.precision}"],
        )
        rows.append(row(name, n, raw[name], peak))
        print(table(rows[-1:]).splitlines()[2], flush=True)
    report = "models" + "_bf16" * (options.precision == "bf16") + "_compile" * options.compile
    results = {"peak_flops": peak, "rows": rows, "raw": raw}
    written = common.report(report, table(rows), options, results)
    picture(rows, written.with_suffix(".png"))


if __name__ == "__main__":
    sys.exit(main())
