"""Tables as the commands print them."""

import sys
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..layers import Network
from ..study.probe import probe
from ..study.summary import Summary
from ..training.metrics import Evaluation
from .app import console

LEAST = 6  # characters of a word that is folded


def print_table(table: Table, spare: Sequence[str] = ()) -> None:
    """Print a table; in a file or pipe at its natural width, so that nothing is cut or folded.

    spare: headings of columns that a narrow terminal goes without, the first ones first. If that is
    not enough, cells are folded: a number that is cut would be another number.
    Its title is the line above it, which rich would fold to the width of the table.
    """
    if table.title:
        console.print(table.title, style="table.title", soft_wrap=True)
        table.title = None
    if not console.is_terminal:
        Console(
            highlight=False, markup=False, emoji=False, width=_width(table), file=console.file
        ).print(table)
        return
    left_out = []
    for heading in spare:
        column = next((c for c in table.columns if c.header == heading), None)
        if column and _width(table) > console.width:
            table.columns.remove(column)
            left_out.append(heading)
    if _width(table) > console.width:
        _fold(table)
    console.print(table)
    if left_out:
        shown = "; ".join(left_out)
        console.print(f"not shown in {console.width} columns: {shown}", soft_wrap=True)


def _fold(table: Table) -> None:
    """Let cells take several lines; numbers, and best their headings, stay whole if they fit."""
    for column in table.columns:
        column.no_wrap, column.overflow = False, "fold"
    numbers = [column for column in table.columns if column.justify == "right"]
    least = LEAST * (len(table.columns) - len(numbers)) + 3 * len(table.columns)
    for texts in ([(c.header, *c.cells) for c in numbers], [tuple(c.cells) for c in numbers]):
        words = [" ".join(map(str, text)).split() for text in texts]
        widths = [max(map(len, found), default=1) for found in words]
        if sum(widths) + least < console.width:
            for column, width in zip(numbers, widths, strict=True):
                column.width = width
            return


def _width(table: Table) -> int:
    """The characters that the table would take in a terminal of any width."""
    wide = console.options.update(width=sys.maxsize // 2)
    return Measurement.get(console, wide, table).maximum


def summary_table(summary: Summary) -> Table:
    """The layers of a network; columns that would be empty are left out."""
    headings, lines = summary.table()
    used = [i for i in range(len(headings)) if any(line[i] for line in lines)]
    table = Table(title=summary.model, header_style="bold")
    for i in used:
        table.add_column(headings[i], justify="right" if 7 <= i <= 10 else "left", no_wrap=True)
    for line in lines:
        table.add_row(*(line[i] for i in used), style="bold" if line is lines[-1] else None)
        if line is lines[-2]:
            table.add_section()
    return table


def show_probe(network: Network, batch: int) -> None:
    """The scale of activations and gradients per layer before the first step; extremes in red."""
    readings, loss = probe(network, batch)
    headings = ("layer", "type", "activation std", "zeros", "gradient std")
    table = Table(*headings, "weight gradient / weight")
    table.title = f"step 0, {batch} random images"
    for r in readings:
        extreme = (
            not np.isfinite(r.activation + r.gradient)
            or r.gradient == 0
            or not 1e-3 <= r.activation <= 1e3
        )
        update = "" if r.update is None else f"{r.update:.1e}"
        cells = (f"{r.activation:.2e}", f"{r.dead:.0%}", f"{r.gradient:.1e}", update)
        table.add_row(r.name, r.layer, *cells, style="red" if extreme else None)
    print_table(table)
    classes = network.output_shape((1, *network.input_shape))[1]
    guess = f"ln({classes}) = {np.log(classes):.3f}"
    console.print(f"loss {loss:.3f}; random guessing among {classes} classes costs {guess}")


def show_evaluation(result: Evaluation, per_class: bool = False) -> None:
    """The confusion matrix if it fits on a screen, and the accuracies."""
    if result.is_small:
        print_table(_confusion_table(result))
    elif per_class:
        table = Table("class", "images", "accuracy")
        rows = zip(result.classes, result.confusion, result.per_class, strict=True)
        for name, row, share in rows:
            if row.any():  # ImageNet has a thousand classes, a folder of photographs a few
                table.add_row(name, str(row.sum()), f"{share:.2%}")
        print_table(table)
    console.print(result.headline)


def _confusion_table(result: Evaluation) -> Table:
    title = "confusion matrix (rows: true class, columns: prediction)"
    table = Table(title=title)
    headings, *rows = result.table()
    for i, heading in enumerate(headings):
        table.add_column(heading, no_wrap=True, justify="right" if i else "left")
    for i, (name, *counts, share) in enumerate(rows):
        cells = [
            Text(count, "bold" if j == i else "red" if count.isdigit() else "")
            for j, count in enumerate(counts)
        ]
        table.add_row(name, *cells, share)
    return table
