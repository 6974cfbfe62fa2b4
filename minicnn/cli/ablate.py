"""`ablate`: the papers' claims, run again."""

import json
import shlex
import sys
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.table import Table

from ..data import NAMES
from ..study.ablation import Ablation, Outcome, ablate, claim, claims
from ..study.ablation.claim import DATA
from ..study.ablation.expected import compare_with_published
from .app import BackendFlag, DeviceFlag, app, choose_compute, console
from .tables import print_table
from .train import console_report
from .train_options import LimitFlag

COLORS = {Outcome.HOLDS: "green", Outcome.FAILS: "red", Outcome.UNDECIDED: "yellow"}


@app.command("ablate")
def ablate_command(
    name: Annotated[
        str | None, typer.Argument(help="The claim; without it, all claims are listed.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per variant: the seeds 0, 1, ...")] = 3,
    source: Annotated[
        str,
        typer.Option(
            "--data", help=f"{', '.join(NAMES)}, or a folder or archive, as for `minicnn train`."
        ),
    ] = DATA,
    limit: LimitFlag = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="By default the claim's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of all runs; by default runs/ablate-NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish the runs in that folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="List the claims as JSON.")] = False,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
) -> None:
    """Run a claim of a paper again: train its variants with several seeds, and say if it holds.

    Without a name, the claims are listed with the time they take.
    """
    if name is None:
        _list(as_json)
        return
    if as_json:
        raise ValueError("--json lists the claims: expected no NAME; results are in ablation.json")
    from ..study.ablation.ablation import FILE, PICTURE
    from ..study.ablation.picture import picture
    from ..study.ablation.training import load_data

    chosen = claim(name)
    choose_compute(backend, device, None)
    sets = load_data(source, limit or chosen.limit, console_report)
    folder = out or Path("runs") / f"ablate-{name}"
    console.print(f"{name}: {chosen.title}\n{sets.train!r}; results: {folder}", soft_wrap=True)
    try:
        found = ablate(
            *(chosen, sets, folder),
            seeds=seeds,
            epochs=epochs,
            device=device,
            resume=resume,
            report=console_report,
        )
    except KeyboardInterrupt:
        again = shlex.join([a for a in sys.argv[1:] if a != "--resume"])
        console.print(f"interrupted. To continue: minicnn {again} --resume", soft_wrap=True)
        raise typer.Exit(130) from None
    _show(found)
    picture(found, folder / PICTURE)
    console.print(f"picture: {folder / PICTURE}   numbers: {folder / FILE}", soft_wrap=True)


def _list(as_json: bool) -> None:
    """The claims: what they say, where, and how long they take."""
    found = claims().values()
    if as_json:
        keys = ("name", "title", "source", "setting", "limit", "epochs", "minutes")
        print(json.dumps([{key: getattr(c, key) for key in keys} for c in found], indent=2))
        return
    table = Table("name", "claim", "source")
    table.add_column("time", justify="right")
    for c in found:
        table.add_row(c.name, c.title, c.source, f"{c.minutes} min")
    print_table(table)
    console.print("time: an estimate for three seeds of every variant on two fast, idle cores")


def _show(found: Ablation) -> None:
    """The measures with their spread over the seeds, and every statement with its verdict."""
    measures = found.claim.measures
    table = Table("variant", "measure", title=found.claim.source)
    for heading in ("mean", "min", "max", "seeds"):
        table.add_column(heading, justify="right")
    for measure in measures:
        for name in found.trials:
            values = found.values(name, measure)
            cells = [measure.text(f(values)) for f in (mean, min, max)]
            table.add_row(name, measure.name, *cells, str(len(values)))
        table.add_section()
    print_table(table)
    for statement, verdict in found.verdicts():
        console.print(f"{statement}", style="bold", soft_wrap=True)
        console.print(f"  the paper: {statement.paper}", soft_wrap=True)
        told = found.sentence(statement, verdict)
        console.print(f"  here: {told}", style=COLORS[verdict.outcome], soft_wrap=True)
    console.print(f"unlike the paper: {found.claim.setting}", soft_wrap=True)
    for line in compare_with_published(found):
        console.print(line, soft_wrap=True)
