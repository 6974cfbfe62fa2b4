"""Common to all benchmarks: separate processes that take turns, and reports with environment.

A report goes to benchmarks/out/, which git ignores; with --publish it goes to benchmarks/results/,
which is committed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
if "MINICNN_DATA" not in os.environ and SHARED_DATA.is_dir():
    os.environ["MINICNN_DATA"] = str(SHARED_DATA)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser of the options that all benchmarks have; `doc` is the docstring of the script."""
    found = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    found.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    found.add_argument(
        "--publish", action="store_true", help="write to benchmarks/results/, not benchmarks/out/"
    )
    found.add_argument(
        "--label", help="write NAME-LABEL: results of a processor beside those of another"
    )
    return found


def folder(publish: bool) -> Path:
    """Where reports go: the committed folder if they are published, else an ignored one."""
    found = HERE / ("results" if publish else "out")
    found.mkdir(exist_ok=True)
    return found


def has_torch() -> bool:
    """True if torch is installed; without it a benchmark measures only minicnn."""
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False
    return True


def environment(threads: int) -> dict:
    """The machine, the versions, the threads and the commit."""
    from minicnn.machine import processor

    def version(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            cwd=HERE.parent,
            check=False,
        )
        return done.stdout.strip()

    # Results that another benchmark has just written are not a change of the measured code.
    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"
    )
    return {
        "machine": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "numba", "torch", "minicnn")},
        "commit": git("rev-parse", "--short", "HEAD") + "-dirty" * bool(changed) or None,
    }


def interleaved(
    script: str, sides: list[str], repeats: int, threads: int, arguments: Sequence[str] = ()
) -> dict[str, list]:
    """Run `script ARGUMENTS --side=SIDE` for every side in turn, `repeats` times.

    The last line of a run's output is one JSON value, its result. Every run is a fresh process with
    `threads` threads, so that idle workers of one side do not occupy the cores of the other.
    """
    limits = {
        name: str(threads)
        for name in (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMBA_NUM_THREADS",
        )
    }
    results: dict[str, list] = {side: [] for side in sides}
    for turn in range(repeats):
        for side in sides:
            print(
                f"\r  {' '.join(arguments[:1])} {turn + 1}/{repeats} {side:40}",
                end="",
                file=sys.stderr,
                flush=True,
            )
            command = [sys.executable, script, *arguments, f"--side={side}"]
            done = subprocess.run(
                command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
            )
            results[side].append(json.loads(done.stdout.splitlines()[-1]))
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return results


def machine(threads: int) -> dict[str, float]:
    """The peak of the machine: `flops` and `bytes` per second (see machine.py)."""
    command = [sys.executable, str(HERE / "machine.py"), f"--threads={threads}"]
    limits = {"NUMBA_NUM_THREADS": str(threads)}
    return json.loads(
        subprocess.run(
            command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


def report(name: str, table: str, options: argparse.Namespace, results: dict) -> Path:
    """Print the table and its environment; write NAME.json and NAME.md, and return the latter."""
    where = environment(options.threads)
    note = ", ".join(f"{key} {value}" for key, value in where.items() if value)
    label = f"-{options.label}" if options.label else ""
    target = folder(options.publish) / f"{name}{label}.md"
    contents = json.dumps({"environment": where, **results}, indent=2)
    target.with_suffix(".json").write_text(contents + "\n", encoding="utf-8")
    target.write_text(f"{table}\n\n{note}\n", encoding="utf-8")
    print(f"{table}\n\n{note}\n\nwritten: {target}")
    return target


def median_range(values: list[float], scale: float = 1.0) -> str:
    """`median (smallest-largest)`."""
    low, middle, high = (f(values) * scale for f in (min, statistics.median, max))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
