"""`check`: is a layer of one's own right, and if not, which mistake is it?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from .app import app, console


@app.command("check")
def check_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="Python files; each is executed, in a process of its own."),
    ],
    layout: Annotated[
        str | None,
        typer.Option(help="NCHW or NHWC, the order of the axes; by default found by trying."),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=1, help="Seconds for one operation, and for the import."),
    ] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    points: Annotated[
        bool, typer.Option("--points", help="Print only the points of each operation.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, one list entry per file.")
    ] = False,
) -> None:
    """Check layers that you wrote: right or wrong, which mistake, and an example by hand.

    Finds function pairs as in CS231n (conv_forward_naive, conv_backward_naive, ...), classes with
    static forward and backward as in EECS 498, torch.autograd.Functions, and layers of minicnn.
    The exit status is 0 if all of it is right, 1 if something is wrong or missing.
    """
    from ..study.check import check_file
    from ..study.check.page import report_lines

    reports = []
    for file in files:
        with console.status(f"checking {file}"):
            report = check_file(file, layout=layout, timeout=timeout, seed=seed)
        reports.append(report)
        if as_json:
            continue
        if points:
            console.print(f"{report.points:3} of {report.possible:3}  {file}", soft_wrap=True)
            if report.error:
                console.print(f"  {report.error}", soft_wrap=True)
            for check in report.checks:
                console.print(f"  {check.points} of {check.possible}  {check.name}")
            continue
        for text, style in report_lines(report):
            console.print(text.rstrip(), style=style or None, soft_wrap=True)
    if as_json:
        text = json.dumps([report.to_dict() for report in reports], indent=1)
        console.print(text, soft_wrap=True)
    raise typer.Exit(0 if all(report.ok for report in reports) else 1)
