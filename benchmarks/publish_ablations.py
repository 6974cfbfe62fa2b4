"""Publish the results of `minicnn ablate`: `results/ablations/NAME.json`, and docs/ablations.md.

    python benchmarks/publish_ablations.py runs/ablate-relu runs/ablate-lrn

Each file is the folder's `ablation.json` with commit, machine and versions. An ablation of fewer
than three seeds is left out: its spread says little.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import common

from minicnn.study.ablation import read_ablation

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "ablations"
LEAST_SEEDS = 3


def main() -> None:
    """Write the results, print their verdicts, and write the page anew."""
    options = parse()
    environment = common.environment(options.threads)
    del environment["torch"]  # has no part in these runs
    if options.commit:
        environment["commit"] = options.commit
    known = {key: value for key, value in environment.items() if value is not None}
    for folder in options.folders:
        found = read_ablation(folder)
        if len(found.seeds) < LEAST_SEEDS:
            print(f"{folder}: {len(found.seeds)} seeds; expected at least {LEAST_SEEDS}: left out")
            continue
        path = options.out / f"{found.name}.json"
        path.write_text(replace(found, environment=known).to_json(), encoding="utf-8")
        print(path)
        for statement, verdict in found.verdicts():
            print(f"  {statement}: {found.sentence(statement, verdict)}")
    subprocess.run([sys.executable, "-m", "tools.ablations"], cwd=ROOT, check=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of `minicnn ablate`")
    parser.add_argument("--commit", help="that the runs were made with; by default the present one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
