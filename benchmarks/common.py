"""What all benchmarks share: engines in processes of their own, turn by turn, and rows that say where they were measured."""

import json
import os
import platform
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
if "MINICNN_DATA" not in os.environ and SHARED_DATA.is_dir():
    os.environ["MINICNN_DATA"] = str(SHARED_DATA)


def has_torch() -> bool:
    """Whether torch is installed; without it a benchmark prints our side alone."""
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False
    return True


def environment(threads: int) -> dict:
    """The machine, the versions, the threads and the commit."""

    def version(package):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    def git(*arguments):
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
            check=False,
        )
        return done.stdout.strip()

    # Results that another benchmark has just written do not make the measured code another.
    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"
    )
    return {
        "machine": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "numba", "torch", "minicnn")},
        "commit": git("rev-parse", "--short", "HEAD") + "-dirty" * bool(changed) or None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def in_turn(
    script: str, sides: list[str], repeats: int, threads: int, arguments: list[str] = ()
) -> dict[str, list]:
    """Run `script ARGUMENTS --side=SIDE` for each side, `repeats` times round; a run prints one JSON value, the last line of its output.

    Every run is a fresh process with `threads` threads, so that no side's idle workers spin on the other's cores.
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
    """What the machine can do: `flops` and `bytes` a second (see machine.py)."""
    command = [sys.executable, str(Path(__file__).with_name("machine.py")), f"--threads={threads}"]
    limits = {"NUMBA_NUM_THREADS": str(threads)}
    return json.loads(
        subprocess.run(
            command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


def report(name: str, table: str, threads: int, results: dict) -> None:
    """Print the table with where it was measured, and keep both under benchmarks/results/."""
    where = environment(threads)
    note = ", ".join(f"{key} {value}" for key, value in where.items() if value)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"environment": where, **results}, indent=2) + "\n"
    )
    (RESULTS / f"{name}.md").write_text(f"{table}\n\n{note}\n")
    print(f"{table}\n\n{note}")


def median_range(values: list[float], scale: float = 1.0) -> str:
    """`median (smallest-largest)`."""
    return f"{statistics.median(values) * scale:.1f} ({min(values) * scale:.1f}-{max(values) * scale:.1f})"
