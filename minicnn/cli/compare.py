"""`compare` and `results`: runs side by side, and the published results to hold a run against."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..study.compare import Comparison, compare
from ..study.expected import Verdict, check
from ..study.results import Result, results
from ..text import for_json
from .app import app, console
from .tables import print_table

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command("compare")
def compare_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, finished or not, or their history.csv.")
    ],
    expected: Annotated[
        bool,
        typer.Option(
            "--expected",
            help="Check each run against the published result with its settings; the exit code is "
            "1 if a run is outside the band.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to draw the curves; by default compare.png, with --json nowhere."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare runs: their curves in one picture, their results, and the settings that differ."""
    from ..study import plots

    found = compare(*runs)
    verdicts = [check(run) for run in found.runs] if expected else []
    picture = out or (None if as_json else Path("compare.png"))
    if picture:
        plots.validate_target(picture)
        bands = {v.result.name: v.result for v in verdicts}
        band = verdicts[0].result if len(bands) == 1 else None
        plots.runs(found.runs, picture, band=band)
    if as_json:
        told = {"expected": [v.to_dict() for v in verdicts]} if expected else {}
        print(json.dumps(for_json(found.to_dict() | told), indent=2))
    else:
        _show(found)
        for verdict in verdicts:
            _show_verdict(verdict)
        console.print(f"picture: {picture}", soft_wrap=True)
    if not all(v.is_inside for v in verdicts):
        raise typer.Exit(1)


def _show(found: Comparison) -> None:
    """The results, and the settings that differ."""
    headings, lines = found.table()
    table = Table(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(*line)
    print_table(table, ("parameters",))
    for run in found.runs:
        if not run.configuration:
            console.print(f"{run.path}: its settings are not known, only its curves")
    headings, lines = found.difference_table()
    if lines:
        table = Table(*headings)
        for line in lines:
            table.add_row(*line)
        print_table(table)
    elif len(found.runs) > 1 and all(run.configuration for run in found.runs):
        console.print("all settings are the same")
    if any("test data" in name for name in found.differences):
        console.print("the runs were tested on different images: their errors are not comparable")


def _show_verdict(verdict: Verdict) -> None:
    """Inside or outside, and the final errors to compare with."""
    console.print(str(verdict), style="green" if verdict.is_inside else "red", soft_wrap=True)
    console.print(f"  {verdict.result.name}: {_final(verdict.result)}", soft_wrap=True)


def _final(result: Result) -> str:
    """The final test errors of a result in one clause."""
    low, high = result.final_band
    parts = [f"final test error {result.error:.2%}, expected {low:.2%} to {high:.2%}"]
    if result.torch_error is not None:
        parts.append(f"torch {result.torch_error:.2%}")
    if result.paper:
        parts.append(f"the paper {result.paper['error']:.2%} ({result.paper['source']})")
    return "; ".join(parts)


@app.command("results")
def results_command(as_json: JsonFlag = False) -> None:
    """List the published results: what runs of a recipe gave, and in which band others end."""
    found = results()
    if as_json:
        print(json.dumps([vars(result) for result in found], indent=2))
        return
    table = Table("result", "command")
    for heading in ("seeds", "epochs", "test error", "expected", "torch", "paper"):
        table.add_column(heading, justify="right")
    for r in found:
        low, high = r.final_band
        table.add_row(
            r.name,
            r.command,
            str(len(r.runs)),
            str(r.epochs),
            f"{r.error:.2%}",
            f"{low:.2%} to {high:.2%}",
            "" if r.torch_error is None else f"{r.torch_error:.2%}",
            f"{r.paper['error']:.2%}" if r.paper else "",
        )
    print_table(table)
