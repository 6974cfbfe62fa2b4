"""LeNet-5: its training step at batch 64 beside PyTorch's, and MNIST to 99 % test accuracy.

    python benchmarks/lenet_mnist.py [--repeats 5] [--threads N] [--no-training] [--publish]

The step is forward, loss, backward and SGD with momentum and weight decay, on the same random
images. PyTorch runs in the better of its two layouts. Each measurement is a process of its own; the
sides take turns. Then `lenet5` is trained by its own recipe, with a rate that falls over four
epochs, from three seeds, until its test accuracy reaches 99 % (if MNIST can be downloaded). Seconds
are those of the training steps, with loading and preprocessing. Writes lenet_mnist.{json,md}.
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
EPOCHS = 4  # enough for 99 %


def batch():
    generator = np.random.default_rng(0)
    return generator.standard_normal((BATCH, 32, 32, 1)).astype(np.float32), generator.integers(
        0, 10, BATCH
    )


def time_steps(step) -> float:
    """The median time of one step, in seconds."""
    times = []
    for i in range(WARM_UP + STEPS):
        started = time.perf_counter()
        step()
        if i >= WARM_UP:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def run_minicnn(backend):
    import minicnn
    from minicnn import layers, models, training
    from minicnn.training.recorded import Recorded

    minicnn.use(backend)
    model = layers.fuse(models.create("lenet5", seed=0))
    optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    network = Recorded(model)  # as in `fit`
    x, labels = batch()

    def step():
        _, gradient = minicnn.softmax_cross_entropy(network(x), labels)
        optimizer.zero_grad()
        network.backward(gradient)
        optimizer.step()

    return time_steps(step)


def run_torch(layout):
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
        model, x = (
            model.to(memory_format=torch.channels_last),
            x.to(memory_format=torch.channels_last),
        )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return time_steps(step)


def to_99_percent(seed: int) -> dict:
    """Train `lenet5` on MNIST to 99 % test accuracy: the epochs and seconds that it took."""
    import minicnn
    from minicnn import data, models, training

    class Enough(training.Callback):
        def on_epoch_end(self, run, row):
            if row["test_accuracy"] >= 0.99:
                run.stop = True

    minicnn.seed(seed)
    train, test = data.mnist()
    model = models.create("lenet5", seed=seed)
    history = training.fit(
        model, train, test, epochs=EPOCHS, seed=seed, callbacks=[Enough()], progress=False
    )
    seconds = history.column("seconds")
    return {
        "seed": seed,
        "epochs": len(seconds),
        "seconds": sum(seconds),
        "epoch": seconds,
        "accuracy": history.rows[-1]["test_accuracy"],
    }


SIDES = {
    "minicnn": lambda: run_minicnn("cpu"),
    "minicnn reference": lambda: run_minicnn("reference"),
    "torch contiguous": lambda: run_torch("contiguous"),
    "torch channels_last": lambda: run_torch("channels_last"),
}


def has_mnist() -> bool:
    """True if MNIST is here or can be downloaded."""
    from minicnn import data
    from minicnn.errors import DataError

    try:
        data.mnist()
    except DataError as error:
        print(f"no training: {error}", file=sys.stderr)
        return False
    return True


def main():
    parser = common.parser(__doc__)
    parser.add_argument(
        "--side", help=argparse.SUPPRESS
    )  # used by this script itself: measure one side and print it
    parser.add_argument("--no-training", action="store_true", help="only the step")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.side:
        print(
            json.dumps(
                to_99_percent(int(options.side[-1]))
                if options.side.startswith("seed")
                else SIDES[options.side]()
            )
        )
        return
    sides = [side for side in SIDES if common.has_torch() or not side.startswith("torch")]
    results = common.interleaved(__file__, sides, options.repeats, options.threads)
    best = min(
        (statistics.median(v) for side, v in results.items() if side.startswith("torch")),
        default=None,
    )
    lines = [
        "| LeNet-5, batch 64 | ms per step (min-max) | s per epoch | PyTorch's time / this |",
        "|---|---:|---:|---:|",
    ]
    for side, values in results.items():
        median = statistics.median(values)
        ratio = f"{best / median:.2f}" if best else ""
        lines.append(
            f"| {side} | {common.median_range(values, 1e3)} | {median * STEPS_PER_EPOCH:.1f} "
            f"| {ratio} |"
        )
    runs = {}
    if not options.no_training and has_mnist():
        runs = common.interleaved(__file__, ["seed 0", "seed 1", "seed 2"], 1, options.threads)
        lines += [
            "",
            "| MNIST to 99 % | epochs | seconds of training | per epoch | test accuracy |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, (run,) in runs.items():
            epoch = statistics.median(run["epoch"])
            lines.append(
                f"| {name} | {run['epochs']} | {run['seconds']:.1f} | {epoch:.1f} "
                f"| {run['accuracy']:.2%} |"
            )
    common.report(
        "lenet_mnist",
        "\n".join(lines),
        options,
        {"seconds_per_step": results, "to_99_percent": runs},
    )


if __name__ == "__main__":
    sys.exit(main())
