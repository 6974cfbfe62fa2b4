"""The command.

Exit codes: 0 if all comparisons passed, 1 if one failed or a task ended with an error, 2 for an
unknown part or network, 3 if there is no GPU.
"""

import argparse
import json
import math
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from minicnn.kernels import dispatch

from . import environment, report, sweep
from .parts import Part, parts, run_part
from .runner import Runner
from .tables import tables

PRECISIONS = ("fp32", "tf32", "bf16", "ffma")
COMMAND = (sys.executable, "-m", "benchmarks.gpu")


def main(arguments: Sequence[str] | None = None, command: Sequence[str] = COMMAND) -> int:
    """Run the parts, each in a child started by `command`; returns the exit code."""
    options = _parser().parse_args(arguments)
    reason = dispatch.load("cuda")
    if isinstance(reason, str):
        print(f"benchmarks.gpu: there is no GPU to verify: {reason}")
        return 3
    try:
        swept = sweep.checked(options.sweep, options.plans)
        stored = report.stored(options.torch_file)
        if options.out and not options.out.is_dir() and options.out.exists():
            raise ValueError(f"--out {options.out}: it is a file; expected a folder")
    except ValueError as error:
        print(f"benchmarks.gpu: {error}")
        return 2
    known = parts(
        options.precisions,
        options.tiny,
        not options.no_torch and (bool(options.part) or environment.has_torch()),
        swept,
        report.best_ways(stored),
    )
    if options.part:
        return run_part(
            next(part for part in known if part.name == options.part), options.json, options.first
        )
    chosen: list[Part] = []
    for prefix in options.only or [""]:
        found = [part for part in known if part.name.startswith(prefix)]
        if not found:
            names = ", ".join(part.name for part in known)
            print(f"benchmarks.gpu: --only {prefix!r}: expected the beginning of one of {names}")
            return 2
        chosen += [part for part in found if part not in chosen]
    shared = [
        "--precisions",
        *options.precisions,
        *(["--tiny"] * options.tiny),
        *(["--no-torch"] * options.no_torch),
        *([] if options.sweep is None else ["--sweep", *options.sweep]),
        *(["--torch-file", str(options.torch_file)] if options.torch_file else []),
    ]
    return _supervised([*command, *shared], chosen, stored, options)


def _supervised(
    command: Sequence[str],
    chosen: Sequence[Part],
    stored: Sequence[dict],
    options: argparse.Namespace,
) -> int:
    """Run the parts; whatever ends that, show and write what is there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "gpu.jsonl").unlink(missing_ok=True)

    def store(line: dict[str, Any]) -> None:
        if options.out:
            with (options.out / "gpu.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

    runner = Runner(command, options.seconds, options.limit, _say, store)

    def keep(picture: bool = False) -> None:
        if options.out:
            try:
                found = report.collected(runner.lines, stored)
                report.write(found, options.out, picture)
            except (
                Exception
            ):  # a fault of the report must not end the measurements; the lines are there
                traceback.print_exc()

    try:
        runner.run(chosen, keep)
    finally:
        runner.close()
        keep(picture=True)
        found = report.collected(runner.lines, stored)
        console = Console(highlight=False, width=None if Console().is_terminal else 200)
        for table in tables(found):
            console.print(table)
        if options.sweep is not None:
            _say(f"benchmarks.gpu: {sweep.write(runner.lines, options.plans)}")
        bad, judged = report.verdict(found)
        failures, left_out = len(found["failures"]), len(found["left_out"])
        _say(
            f"benchmarks.gpu: {judged} comparisons, {bad} failed; {failures} errors; "
            f"{left_out} left out"
        )
    return 1 if bad or found["failures"] else 0


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Verify and measure the GPU engine on this machine.",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=540,
        help="the time for all parts; what it does not reach is left out (540)",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=math.inf,
        help="the time for one task, where that is less than its part allows",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="a folder for gpu.jsonl, which gets each result at once; for gpu.json and gpu.md, "
        "after each part; and gpu.png",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        help="the parts whose names begin so, in this order",
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "tf32", "bf16"]
    )
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch's side out")
    parser.add_argument(
        "--torch-file",
        type=Path,
        help="PyTorch's rows of this card, as an earlier run wrote them to gpu-torch.json: they "
        "are not measured again, but for a few that show whether they are still right",
    )
    parser.add_argument(
        "--sweep",
        nargs="*",
        metavar="NETWORK[:BATCH]",
        help="measure instead the plans of all products of these networks' training steps (by "
        "default of six networks), and write the fastest to a file that the engine uses",
    )
    parser.add_argument(
        "--plans",
        type=Path,
        metavar="FILE",
        help="the file that --sweep writes (that of this card in the platform's cache folder, or "
        "MINICNN_PLANS, which the engine reads)",
    )
    parser.add_argument("--tiny", action="store_true", help="the smallest shapes: a rehearsal")
    parser.add_argument(
        "--part", help="run this part in this process, appending to --json from task --first on"
    )
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
