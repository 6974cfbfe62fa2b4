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

from minicnn.kernels import dispatch

from . import environment, report, sweep
from .parts import parts, run_part
from .runner import Runner

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
    except ValueError as error:
        print(f"benchmarks.gpu: {error}")
        return 2
    known = parts(
        options.precisions,
        options.tiny,
        bool(options.part) or (not options.no_torch and environment.has_torch()),
        swept,
    )
    if options.part:
        return run_part(
            next(part for part in known if part.name == options.part), options.json, options.first
        )
    chosen = [
        part for part in known if any(part.name.startswith(name) for name in options.only or [""])
    ]
    if not chosen:
        names = ", ".join(part.name for part in known)
        print(f"benchmarks.gpu: --only {' '.join(options.only)}: expected one of {names}")
        return 2
    shared = [
        "--precisions",
        *options.precisions,
        *(["--tiny"] * options.tiny),
        *(["--no-torch"] * options.no_torch),
        *([] if options.sweep is None else ["--sweep", *options.sweep]),
    ]
    return _supervised(
        Runner([*command, *shared], options.seconds, options.limit, _say), chosen, options
    )


def _supervised(runner: Runner, chosen: Sequence[Any], options: argparse.Namespace) -> int:
    """Run the parts; whatever ends that, show and write what is there."""
    stored = json.loads(options.torch_file.read_text()) if options.torch_file else []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def keep() -> None:
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "gpu.jsonl").write_text(
                "".join(json.dumps(line) + "\n" for line in runner.lines)
            )
            try:
                report.write(report.collected(runner.lines, stored), options.out)
            except (
                Exception
            ):  # a fault of the report must not end the measurements; the lines are there
                traceback.print_exc()

    try:
        runner.run(chosen, keep)
    finally:
        runner.close()
        keep()
        found = report.collected(runner.lines, stored)
        for table in report.tables(found):
            report.console.print(table)
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
        help="a folder for gpu.json, gpu.md and gpu.png, written again after each part",
    )
    parser.add_argument("--only", nargs="+", metavar="PART", help="the parts whose names begin so")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "tf32", "bf16"]
    )
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch's side out")
    parser.add_argument(
        "--torch-file",
        type=Path,
        help="PyTorch's rows of this card, as an earlier run wrote them to gpu-torch.json",
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
