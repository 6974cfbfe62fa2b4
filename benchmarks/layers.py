"""Single operations beside PyTorch's: convolutions, pooling, normalization, losses, updates.

    python benchmarks/layers.py [GROUP ...] [--rounds 2] [--repeats 5] [--threads N] [--publish]

Groups: conv (shapes of VGG and ResNet, and the five layers of soumith's convnet-benchmarks, batch
16), depthwise (one group per channel, shapes of MobileNet), memory (operations limited by memory
bandwidth); layers_work.py lists them. Only the forward or backward pass is timed, on existing
arrays. PyTorch runs in the better of its two layouts. The floor is the larger of the FLOPs at the
measured peak and the bytes at the measured bandwidth of a copy; every array counts once. Errors are
those of minicnn against float64, on one image. Writes layers.{json,md}.
"""

import argparse
import json
import statistics
import sys

import common
from layers_work import GROUPS, PASSES, floor

SIDES = ("minicnn", "torch contiguous", "torch channels_last")


def measured(side: str, groups: list[str], repeats: int) -> dict[str, float]:
    """The seconds of every operation on one side. Only that side is imported."""
    if side == "minicnn":
        from layers_minicnn import run_minicnn

        return run_minicnn(groups, repeats)
    from layers_torch import run_torch

    return run_torch(groups, repeats, side.removeprefix("torch "))


def row(name: str, times: dict[str, float], machine: dict[str, float], error: float | None) -> dict:
    """The figures of an operation; `times` are the medians of the sides, in seconds."""
    mine = times["minicnn"]
    best = min((t for side, t in times.items() if side != "minicnn"), default=None)
    work, least = floor(name, machine["flops"], machine["bytes"])
    return {
        "operation": name,
        "minicnn": mine,
        "torch": best,
        "ratio": best and best / mine,
        "gflops": work / mine / 1e9,
        "of_floor": least / mine,
        "error": error,
    }


def line(r: dict) -> str:
    """A row of the table."""
    theirs, ratio = (f"{r['torch'] * 1e3:.2f}", f"{r['ratio']:.2f}") if r["torch"] else ("", "")
    speed = f"{r['gflops']:.0f}" if r["gflops"] else ""
    error = f"{r['error']:.0e}" if r["error"] is not None else ""
    return (
        f"| {r['operation']} | {r['minicnn'] * 1e3:.2f} | {theirs} | {ratio} | {speed} "
        f"| {r['of_floor']:.0%} | {error} |"
    )


def table(rows: list[dict]) -> str:
    """The rows, and the geometric mean of the ratios of each pass."""
    lines = [
        "| operation | ms | PyTorch | ratio | GFLOP/s | of the floor | error |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *map(line, rows),
    ]
    for which in PASSES:
        ratios = [r["ratio"] for r in rows if r["operation"].endswith(which) and r["ratio"]]
        if ratios:
            mean = statistics.geometric_mean(ratios)
            lines.append(f"| geometric mean, {which} | | | **{mean:.2f}** | | | |")
    return "\n".join(lines)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("groups", nargs="*", default=GROUPS, help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=2, help="how often the sides take turns")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", help=argparse.SUPPRESS)  # for the script itself
    options = parser.parse_args()
    if set(options.groups) - set(GROUPS):
        parser.error(f"unknown group in {options.groups}; expected {', '.join(GROUPS)}")
    if options.side:
        return print(json.dumps(measured(options.side, options.groups, options.repeats)))

    sides = [side for side in SIDES if common.has_torch() or side == "minicnn"]
    machine = common.machine(options.threads)
    arguments = [*options.groups, f"--repeats={options.repeats}"]
    found = common.interleaved(__file__, sides, options.rounds, options.threads, arguments)
    from layers_minicnn import errors

    exact = errors(options.groups)
    rows = []
    for name in found["minicnn"][0]:
        times = {side: statistics.median(run[name] for run in runs) for side, runs in found.items()}
        rows.append(row(name, times, machine, exact.get(name)))
    results = {"machine": machine, "rows": rows, "raw": found}
    common.report("layers", table(rows), options, results)


if __name__ == "__main__":
    sys.exit(main())
