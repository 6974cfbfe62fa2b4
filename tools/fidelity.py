"""Writes docs/fidelity.md: `python -m tools.fidelity`, in the root of the source tree.

The statements are in models/fidelity.toml, the differences from torch in docs/twins.json.
Parameters and MACs are computed from the networks.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from minicnn import models, registry
from minicnn.layers.init import skip_init
from minicnn.study.summary import summarize

DOCS = Path(__file__).resolve().parents[1] / "docs"
STATEMENTS = DOCS.parent / "models" / "fidelity.toml"

INTRODUCTION = """\
# Fidelity

For each network: what its paper says, what the code does, and every known deviation or error, with
its source. `python -m tools.fidelity` writes this page from `models/fidelity.toml`; a test keeps it
current. Counts are computed from the code. The project started from two tables of networks, in
Limon-7/deep-learning-libray and AIOSYM/dl-model-gallery; their errors are listed too.
"""

COUNTS_OF_HEADS = """\
With auxiliary heads, the parameters above include the heads and the MACs do not: GoogLeNet's main
path has 6,998,552 parameters.
"""

AGREEMENT = """\
## Agreement with independent twins

Each network is compared with a twin in torch {torch} that was written from the papers
(`tests/models/twins.py`). The columns "forward" and "gradient" are the largest relative differences
in train and eval mode: of logits, loss and running statistics, and of the gradients of input and
parameters. They are in float64 on a reduced input (`python -m tests.models.twin_table`).

The last three columns are in float32 on the network's own input: relative L2 distances from the
twin in float64, ours / torch's, of the outputs in train mode, of all gradients together, and of the
logits in eval mode (`python -m tests.models.twin_table --float32`).

In float32, gradients of two engines agree only up to rounding: a unit near the kink of ReLU, or two
nearly equal values in a max pooling, can fall on different sides. Outputs agree to 1e-4, except in
the deepest nets, where batch norm over two images amplifies earlier rounding, in torch too. Where
our distance is larger than torch's, the cause is Winograd's algorithm, which rounds ten times as
much before the kinks. With plain sums (`algorithm("direct")` of `minicnn.kernels.cpu.conv`) the
distances are torch's.
"""


AGREEMENT_COLUMNS = [
    *("network", "parameters", "MACs", "forward", "gradient", "seconds"),
    *("float32 forward", "float32 gradient", "float32 eval"),
]


def statements() -> dict[str, dict[str, Any]]:
    """The sections of models/fidelity.toml, by the name of the model file."""
    return tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))


def document() -> str:
    """The text of docs/fidelity.md."""
    sections = [section(file, **content) for file, content in statements().items()]
    twins = json.loads((DOCS / "twins.json").read_text(encoding="utf-8"))
    return "\n".join([INTRODUCTION, *sections, COUNTS_OF_HEADS, agreement(twins)])


def section(file: str, title: str, points: list[dict[str, str]]) -> str:
    """One model file: its networks with their counts, then the statements about them."""
    networks = [
        network_row(name)
        for name in models.names()
        if registry.entry(name).build.__module__ == f"minicnn.models.{file}"
    ]
    lines = [
        f"## {title}",
        "",
        f"`models/{file}.py`",
        "",
        "| network | input | parameters | MACs | recipe from |",
        "|---|---|---:|---:|---|",
        *networks,
        "",
        "| source | it says | here |",
        "|---|---|---|",
        *(row(point["source"], point["says"], point["here"]) for point in points),
    ]
    return "\n".join(lines) + "\n"


def network_row(name: str) -> str:
    """A network's input, parameters, MACs, and the source of its recipe."""
    entry = registry.entry(name)
    with skip_init():
        table = summarize(models.create(name))
    size = "x".join(map(str, table.input))
    source = entry.recipes.get("paper", entry.recipes["default"]).source
    return row(f"`{name}`", size, f"{table.parameters:,}", f"{table.macs:,}", source)


def agreement(measured: dict[str, Any]) -> str:
    """The differences from the twins that `tests/models/twin_table.py` measured."""
    rows = [row(*AGREEMENT_COLUMNS), row("---", *["---:"] * (len(AGREEMENT_COLUMNS) - 1))]
    for name, found in measured["networks"].items():
        wide, narrow = found["float64"], found.get("float32")
        kinds = ("forward", "gradient", "eval")
        distances = ["{:.0e} / {:.0e}".format(*narrow[k]) if narrow else "" for k in kinds]
        rows.append(
            row(
                f"`{name}`",
                f"{found['parameters']:,}",
                f"{found['macs']:,}",
                f"{wide['forward']:.0e}",
                f"{wide['gradient']:.0e}",
                f"{wide['seconds']:.1f}",
                *distances,
            )
        )
    return "\n".join([AGREEMENT.format(torch=measured["torch"]), *rows]) + "\n"


def row(*cells: str) -> str:
    """One row of a Markdown table."""
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def main() -> None:
    """Write docs/fidelity.md."""
    (DOCS / "fidelity.md").write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
