"""How the cost of a training step grows: with the batch, and with the threads.

    python benchmarks/scaling.py [NETWORK ...] [--steps 5] [--threads N] [--publish]

Milliseconds per image at batches of 1 to 256 (up to 1 TFLOP per step), with 1 thread and with all
cores, beside PyTorch in channels_last. Writes scaling.{json,md,png}.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import common

import models

NETWORKS = ("lenet5", "nin_cifar10", "resnet18")
BATCHES = (1, 4, 16, 64, 256)
MOST = 1e12  # FLOPs of one step
SIDES = ("minicnn", "torch channels_last")


def table(rows: list[dict]) -> str:
    lines = [
        "| network, batch | threads | ms per image | PyTorch | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    for r in rows:
        theirs, ratio = (
            (f"{r['torch']:.3f}", f"{r['torch'] / r['minicnn']:.2f}") if r["torch"] else ("", "")
        )
        lines.append(
            f"| {r['network']}, {r['batch']} | {r['threads']} | {r['minicnn']:.3f} "
            f"| {theirs} | {ratio} |"
        )
    return "\n".join(lines)


def picture(rows: list[dict], networks: list[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(networks), figsize=(4.2 * len(networks), 3.4), layout="constrained", squeeze=False
    )
    for axes, name in zip(panels[0], networks, strict=True):
        for threads in sorted({r["threads"] for r in rows}):
            mine = [r for r in rows if r["network"] == name and r["threads"] == threads]
            style = "-" if threads > 1 else "--"
            axes.plot(
                [r["batch"] for r in mine],
                [r["minicnn"] for r in mine],
                style,
                color="#1b6ca8",
                marker="o",
                markersize=4,
            )
            theirs = [r for r in mine if r["torch"]]
            axes.plot(
                [r["batch"] for r in theirs],
                [r["torch"] for r in theirs],
                style,
                color="#dd8452",
                marker="s",
                markersize=4,
            )
        axes.set(xscale="log", yscale="log", xlabel="batch", title=name)
        axes.set_xticks(BATCHES, BATCHES)
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("ms per image, training step")
    panels[0][0].plot([], [], color="#1b6ca8", marker="o", label="minicnn")
    panels[0][0].plot([], [], color="#dd8452", marker="s", label="PyTorch")
    panels[0][0].plot([], [], "--", color="gray", label="1 thread")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # used by this script itself
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(
            json.dumps(
                models.run_side(options.side, options.networks[0], options.batch, options.steps)[
                    "train"
                ]
            )
        )
        return
    sides = [side for side in SIDES if common.has_torch() or side == "minicnn"]
    rows = []
    for name in options.networks:
        for batch in BATCHES:
            if 6 * models.macs_of(name) * batch > MOST:
                continue
            for threads in sorted({1, options.threads}):
                runs = common.interleaved(
                    __file__,
                    sides,
                    1,
                    threads,
                    [name, f"--batch={batch}", f"--steps={options.steps}"],
                )
                each = {
                    side: statistics.median(values[0]) * 1e3 / batch
                    for side, values in runs.items()
                }
                rows.append(
                    {
                        "network": name,
                        "batch": batch,
                        "threads": threads,
                        "minicnn": each["minicnn"],
                        "torch": each.get(SIDES[1]),
                    }
                )
    written = common.report("scaling", table(rows), options, {"milliseconds_per_image": rows})
    picture(rows, options.networks, written.with_suffix(".png"))


if __name__ == "__main__":
    sys.exit(main())
