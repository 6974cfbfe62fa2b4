"""A network as a table with the columns of papers and textbooks, computed only from shapes."""

import json
import math
from dataclasses import asdict, dataclass

from ..checks import checked_whole
from ..kernels.types import Shape
from ..layers import Layer, metadata
from ..layers.shapes import shapes_through
from ..text import aligned, html_table
from . import describe

HEADINGS = (
    *("layer", "type", "kernel", "stride", "padding", "activation", "output"),
    *("memory", "parameters", "MACs", "connections", "note"),
)
COUNTS = slice(7, 11)  # the columns of numbers


@dataclass(frozen=True)
class Row:
    """One layer. output: `(H, W, C)` or `(features,)`.

    memory: values in the output, for the whole batch. The other counts are per image.
    """

    name: str
    layer: str
    kernel: str
    stride: str
    padding: str
    activation: str
    output: Shape
    memory: int
    parameters: int
    macs: int
    connections: int
    note: str


@dataclass(frozen=True)
class Summary:
    """The rows of a network, its input `(H, W, C)`, and the totals.

    parameters: trainable scalars.
    fixed: scalars saved with the model but not trained (running statistics, RBF codes).
    macs: multiply-accumulates of convolutions and linear layers for one image.
    connections: LeCun's count, biases included.
    memory: values of the input and all outputs for the batch, 4 bytes each.
    `print(summary)` shows the table; a notebook shows it as HTML.
    """

    model: str
    input: Shape
    batch: int
    rows: list[Row]
    parameters: int
    fixed: int
    macs: int
    connections: int
    memory: int

    def to_json(self) -> str:
        """The rows and the totals as JSON."""
        return json.dumps(asdict(self), indent=2)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows as text: the input first, the totals last."""
        input_memory = _count(self.batch * math.prod(self.input))
        lines = [["input", *[""] * 5, _size(self.input), input_memory, "", "", "", ""]]
        for r in self.rows:
            texts = [r.name, r.layer, r.kernel, r.stride, r.padding, r.activation, _size(r.output)]
            counts = (r.memory, r.parameters, r.macs, r.connections)
            lines.append([*texts, *map(_count, counts), r.note])
        totals = (self.memory, self.parameters, self.macs, self.connections)
        lines.append(["total", *[""] * 6, *map(_count, totals), ""])
        width = len(HEADINGS) if any(r.note for r in self.rows) else len(HEADINGS) - 1
        return list(HEADINGS[:width]), [line[:width] for line in lines]

    def footer(self) -> str:
        """One sentence with the sizes in bytes."""
        disk = f"{_bytes(4 * (self.parameters + self.fixed))} on disk"
        if self.fixed:
            disk += f" with {self.fixed:,} fixed values"
        images = "image" if self.batch == 1 else f"batch of {self.batch}"
        return (
            f"{self.parameters:,} parameters ({disk}), {self.macs:,} multiply-accumulates "
            f"per image, {_bytes(4 * self.memory)} of activations for one {images}"
        )

    def to_markdown(self) -> str:
        """A markdown table and the footer."""
        headings, lines = self.table()
        rules = ["---"] * len(headings)
        rules[COUNTS] = ["---:"] * 4
        rows = [headings, rules, *lines]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{self.footer()}\n"

    def __str__(self) -> str:
        headings, lines = self.table()
        used = [i for i in range(len(headings)) if any(line[i] for line in lines)]
        numbers = range(COUNTS.start, COUNTS.stop)
        words = {place for place, i in enumerate(used) if i not in numbers}
        head, *body, total = aligned([[row[i] for i in used] for row in (headings, *lines)], words)
        rule = "-" * max(map(len, (head, *body, total)))
        return "\n".join([self.model, head, rule, *body, rule, total, self.footer()])

    def _repr_html_(self) -> str:
        headings, lines = self.table()
        words = set(range(len(headings))) - set(range(COUNTS.start, COUNTS.stop))
        return html_table([headings, *lines], words, self.model, self.footer())


def summarize(model: Layer, input_shape: Shape | None = None, batch: int = 1) -> Summary:
    """The table of a network for inputs of `input_shape` (H, W, C); by default, the model's own.

    Raises ShapeError if the network cannot take that input, ValueError if no shape is known.
    """
    about = metadata(model)
    batch = checked_whole("batch", batch)
    input_shape = tuple(input_shape or about.input_shape)
    if not input_shape:
        raise ValueError("the network has no input shape of its own; give input_shape=(H, W, C)")
    rows = []
    for step in shapes_through(model, (batch, *input_shape)):
        columns = {
            "kernel": "",
            "stride": "",
            "padding": "",
            "activation": "",
            "note": "",
        } | describe.columns(step.layer)
        rows.append(
            Row(
                name=step.name,
                layer=type(step.layer).__name__,
                output=step.output[1:],
                memory=math.prod(step.output),
                parameters=sum(p.trainable for p in step.layer.parameters()),
                macs=describe.macs(step.layer, step.output),
                connections=describe.connections(step.layer, step.output),
                **columns,
            )
        )
    return Summary(
        model=about.name or type(model).__name__,
        input=input_shape,
        batch=batch,
        rows=rows,
        parameters=sum(p.trainable for p in model.parameters()),
        fixed=sum(array.size for _, array in model.named_buffers()),
        macs=sum(r.macs for r in rows),
        connections=sum(r.connections for r in rows),
        # Flatten is a view: it costs no memory.
        memory=batch * math.prod(input_shape) + sum(r.memory for r in rows if r.layer != "Flatten"),
    )


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _count(n: int) -> str:
    return f"{n:,}" if n else ""


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"
