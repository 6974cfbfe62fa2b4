"""The command: every part in turn, each one's failure noted and the next begun; the exit code says whether all is well.

0: all comparisons passed. 1: some failed. 3: there is no GPU.
"""

import argparse
import shutil
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from ..kernels import dispatch
from . import correctness, environment, learning, report, speed

PRECISIONS = ("fp32", "tf32", "bf16", "ffma")


@dataclass
class Run:
    """What is asked for, and what has been found."""

    quick: bool
    tiny: bool
    found: dict = field(default_factory=lambda: {"checks": [], "rows": [], "courses": [], "errors": {}})
    started: float = field(default_factory=time.monotonic)

    def part(self, name: str, work) -> None:
        """Run one part; an error is kept, with its traceback, and does not end the program."""
        report.console.print(f"[{time.monotonic() - self.started:5.0f} s] {name}", markup=False)
        try:
            work()
        except Exception as error:  # the next part may well work
            self.found["errors"][name] = traceback.format_exc()
            report.console.print(f"  failed: {type(error).__name__}: {error}", markup=False)

    def keep(self, kind: str, results) -> None:
        """Add named tuples to what was found, with their properties."""
        for result in results:
            extra = {name: getattr(result, name) for name in ("passed", "ratio", "distance") if hasattr(result, name)}
            if hasattr(result, "share"):
                extra["share"] = result.share(self.found["ceilings"])
            self.found[kind].append(result._asdict() | extra)


def profile(rows: list[dict]) -> dict[str, str]:
    """What ncu says of the three convolutions that are farthest from their floor: name -> its report, or why there is none."""
    program = shutil.which("ncu")
    if program is None:
        return {"ncu": "it is not on this machine"}
    found = {}
    worst = sorted((r for r in rows if r["group"] == "convolution" and r["share"]), key=lambda r: r["share"])
    for row in worst[:3]:
        command = [program, "--clock-control", "none", "--set", "basic", "--launch-count", "1"]
        command += ["--kernel-name", "regex:forward|grad_input|grad_weight", sys.executable, "-m", "minicnn.gpu_verify"]
        command += ["--one", row["name"], "--precisions", row["precision"]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        found[f"{row['name']}, {row['precision']}"] = (done.stdout if done.returncode == 0 else done.stderr)[-4000:]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run it all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m minicnn.gpu_verify", description="Verify and measure the GPU engine on this machine.")
    parser.add_argument("--quick", action="store_true", help="the central shapes and networks alone: under 4 minutes")
    parser.add_argument("--out", type=Path, help="a folder for gpu.json, gpu.md and gpu.png")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "tf32", "bf16"])
    parser.add_argument("--kernels-only", action="store_true", help="compare the kernels, and nothing else")
    parser.add_argument("--tiny", action="store_true", help="the smallest shapes, as for compute-sanitizer")
    parser.add_argument("--one", metavar="NAME", help="run one convolution of the table of speeds, three times: for a profiler")
    options = parser.parse_args(arguments)
    reason = dispatch.load("cuda")
    if isinstance(reason, str):
        print(f"gpu_verify: there is no GPU to verify: {reason}")
        return 3
    if options.one:
        speed.one(options.one, options.precisions[0])
        return 0
    run = Run(options.quick, options.tiny)
    found, precisions, small = run.found, options.precisions, options.tiny

    def say(text):
        report.console.print(f"      {text}", markup=False)

    run.part("environment", lambda: found.update(environment=environment.describe()))
    say(" ".join(f"{key}={value}" for key, value in found.get("environment", {}).items()))
    checked = [*precisions, *(["ffma"] if not options.quick and "ffma" not in precisions else [])]
    run.part("every kernel", lambda: run.keep("checks", correctness.kernels(checked, small)))
    if not options.kernels_only:
        networks = ("lenet5",) if small else correctness.NETWORKS[:2] if options.quick else correctness.NETWORKS
        run.part("ceilings", lambda: found.update(ceilings=environment.ceilings(options.quick or small)))
        run.part("networks", lambda: run.keep("checks", correctness.networks(networks, precisions, 2 if small else 8, say)))
        if environment.has_torch():
            for name in networks:
                run.part(f"{name} against torch", lambda name=name: run.keep("checks", filter(None, [correctness.against_torch(name)])))
        shapes = speed.TINY if small else speed.QUICK if options.quick else speed.CONVOLUTIONS
        run.part("operations' speed", lambda: run.keep("rows", speed.operations(precisions, shapes, 1 if small else 128, say)))
        batches = {"lenet5": 2} if small else speed.QUICK_STEPS if options.quick else speed.STEPS
        run.part("training steps' speed", lambda: run.keep("rows", speed.steps(precisions, batches, options.quick, say)))
        run.part("LeNet-5 as nine kernels and as one", lambda: run.keep("rows", speed.fused_lenet(2 if small else 128)))
        run.part("learning", lambda: run.keep("courses", learning.courses(precisions, options.quick, small)))
        if not options.quick and not small:
            run.part("compute-sanitizer", lambda: found.update(sanitizer=correctness.sanitized()))
            run.part("ncu", lambda: found.update(ncu=profile(found["rows"])))
    found["seconds"] = time.monotonic() - run.started
    for table in report.tables(found):
        report.console.print(table)
    if options.out:
        report.write(found, options.out)
        say(f"written: {options.out / 'gpu.json'}")
    judged = [*found["checks"], *found["courses"]]
    bad = sum(not result["passed"] for result in judged)
    for name, text in found["errors"].items():
        report.console.print(f"{name}: {text.strip().splitlines()[-1]}", markup=False)
    print(f"gpu_verify: {len(judged)} comparisons, {bad} failed; {len(found['errors'])} parts ended with an error")
    return 1 if bad or found["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
