"""Make a published result of finished runs: `results/NAME.json`, with its band.

The runs have the same settings and different seeds. Runs of `benchmarks/recipes.py` on the same
images stand beside them.

    python benchmarks/publish.py lenet5-default runs/a runs/b runs/c --torch runs/torch-* \\
        --paper 0.0095 --source "LeCun et al. 1998, figure 9"
    python benchmarks/publish.py lenet5-default runs/d --add    # a further seed
"""

import argparse
import os
from pathlib import Path

import common

from minicnn.study.results import add_runs, from_json, make_result
from minicnn.study.runs import Run, read_run

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Write the result, and print what `minicnn results` will show."""
    options = parse()
    if options.paper is not None and not options.source:
        raise SystemExit("--paper needs --source, where the number stands")
    if not options.runs and not (options.add and options.torch):
        raise SystemExit("expected folders of runs")
    paper = {"error": options.paper, "source": options.source} if options.source else None
    environment = common.environment(options.threads)
    del environment["torch"]  # has no part in these runs
    if options.commit:
        environment["commit"] = options.commit
    known = {key: value for key, value in environment.items() if value is not None}
    runs, torch_runs = map(read_runs, (options.runs, options.torch))
    path = options.out / f"{options.name}.json"
    if options.add and not path.exists():
        raise SystemExit(f"{path}: there is no such result to which runs can be added")
    if options.add:
        result = add_runs(from_json(path.read_text(encoding="utf-8")), runs, known, torch_runs)
    else:
        more = {"command": options.command, "torch_runs": torch_runs, "paper": paper}
        result = make_result(options.name, runs, known, **more)
    path.write_text(result.to_json(), encoding="utf-8")
    low, high = result.final_band
    print(f"{path}: test error {result.error:.2%}, expected {low:.2%} to {high:.2%}")
    if result.torch_error is not None:
        points = 100 * (result.error - result.torch_error)
        print(f"torch: {result.torch_error:.2%}; ours minus torch's: {points:+.2f} points")


def read_runs(folders: list[Path]) -> list[Run]:
    """The runs in these folders."""
    return [read_run(folder) for folder in folders]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", help="of the result: NETWORK-RECIPE")
    parser.add_argument("runs", nargs="*", type=Path, help="folders of `minicnn train`")
    parser.add_argument("--add", action="store_true", help="to the published ones of that name")
    parser.add_argument("--torch", nargs="+", type=Path, default=[], help="of recipes.py")
    parser.add_argument("--paper", type=float, help="the paper's test error, in 0..1")
    parser.add_argument("--source", help="the paper, with its section or table")
    parser.add_argument("--command", default="", help="what a run was started with")
    parser.add_argument("--commit", help="that the runs were made with; by default the present one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
