"""Predicted beside measured: the time and the memory of a training step and of an inference.

    python benchmarks/forecast.py [NETWORK ...] [--rounds 2] [--threads N] [--recorded] [--update]
                                  [--publish]

The networks, batches and measurements are those of models.py, each in a process of its own; the
prediction is made before, from shapes and the speed of the machine. With --recorded nothing is
measured: the predictions stand beside the measurements in results/models.json, for the peak that
the machine had then. Writes forecast.{json,md}.
"""

import argparse
import json
import os
import statistics
from dataclasses import replace
from pathlib import Path

import common

import models as networks
from minicnn import models, set_num_threads
from minicnn.layers.init import skip_init
from minicnn.machine import Machine, this_machine
from minicnn.study import forecast

RECORDED = Path(__file__).parent / "results" / "models.json"
WHAT = (("train", True), ("inference", False))


def predict(name: str, machine: Machine) -> dict:
    """Seconds of both, and the bytes of training."""
    with skip_init():
        network = models.create(name, num_classes=networks.CLASSES)
    batch = networks.BATCHES[name]
    found = {what: forecast(network, None, batch, train, machine=machine) for what, train in WHAT}
    return {what: f.seconds for what, f in found.items()} | {"peak": found["train"].memory}


def measured(runs: list[dict]) -> dict:
    """The medians over all rounds."""
    seconds = {what: statistics.median(t for r in runs for t in r[what]) for what, _ in WHAT}
    return seconds | {"peak": min(r["peak"] for r in runs)}  # compiling takes memory


def table(rows: list[dict], machine: Machine, note: str) -> str:
    """The markdown table."""
    lines = [
        "| network, batch | train, ms | predicted | error | inference, ms | predicted | error "
        "| memory, MiB | predicted | error |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"{row['network']}, {networks.BATCHES[row['network']]}"]
        for what, scale in (("train", 1e3), ("inference", 1e3), ("peak", 2**-20)):
            found, guess = row["measured"][what] * scale, row["predicted"][what] * scale
            cells += [f"{found:,.4g}", f"{guess:,.4g}", f"{guess / found - 1:+.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    worst = {
        what: max(abs(r["predicted"][what] / r["measured"][what] - 1) for r in rows)
        for what in ("train", "inference", "peak")
    }
    lines += [
        "",
        f"Largest error: training {worst['train']:.0%}, inference {worst['inference']:.0%}, "
        f"memory {worst['peak']:.0%}. Predicted from {machine.flops / 1e9:,.0f} GFLOP/s, "
        f"{machine.bytes / 1e9:,.1f} GB/s, {1e6 * machine.call:.1f} us per call and "
        f"{machine.process / 2**20:,.0f} MiB of the process. {note}",
    ]
    return "\n".join(lines)


def measure(names: list[str], options: argparse.Namespace) -> dict[str, list[dict]]:
    """Runs of models.py, network by network."""
    script = str(Path(__file__).parent / "models.py")
    return {
        name: common.interleaved(
            script,
            [networks.OURS],
            options.rounds,
            options.threads,
            [name, f"--batch={networks.BATCHES[name]}", "--steps=5"],
        )[networks.OURS]
        for name in names
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument(
        "networks", nargs="*", help="of those of models.py; by default all, or all recorded ones"
    )
    parser.add_argument("--rounds", type=int, default=2, help="processes per network")
    parser.add_argument(
        "--recorded", action="store_true", help="measure nothing, read results/models.json"
    )
    parser.add_argument(
        "--update", action="store_true", help="keep the report's rows of the other networks"
    )
    parser.add_argument("--bandwidth", type=float, help="GB/s, instead of the measured bandwidth")
    options = parser.parse_args()
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    known = list(recorded["raw"]) if options.recorded else list(networks.BATCHES)
    options.networks = options.networks or known
    for name in options.networks:
        if name not in known:
            parser.error(f"unknown network {name!r}; expected one of {', '.join(known)}")
    set_num_threads(min(options.threads, os.cpu_count() or 1))
    machine = this_machine()
    if options.bandwidth:
        machine = replace(machine, bytes=options.bandwidth * 1e9)
    if options.recorded:
        machine = replace(machine, flops=recorded["peak_flops"])
        runs = {name: recorded["raw"][name][networks.OURS] for name in options.networks}
        note = f"Measured by models.py at commit {recorded['environment']['commit']}."
    else:
        runs, note = measure(options.networks, options), "Measured by this command."
    rows = [
        {"network": name, "measured": measured(runs[name]), "predicted": predict(name, machine)}
        for name in options.networks
    ]
    if options.update:
        report = common.folder(options.publish) / "forecast.json"
        kept = json.loads(report.read_text(encoding="utf-8"))["rows"]
        rows += [row for row in kept if row["network"] not in options.networks]
        rows.sort(key=lambda row: list(networks.BATCHES).index(row["network"]))
    common.report("forecast", table(rows, machine, note), options, {"rows": rows, "note": note})


if __name__ == "__main__":
    main()
