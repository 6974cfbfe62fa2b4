"""A network as a table: the columns of the papers' and textbooks' tables, computed from shapes alone (nothing is run)."""

import json
import math
from dataclasses import asdict, dataclass

from ..kernels.types import Shape
from ..layers import Layer
from ..layers.shapes import shapes_through
from . import describe


@dataclass(frozen=True)
class Row:
    """One layer. output: `(H, W, C)` or `(features,)`. memory: values in the output, for the whole batch. The counts are per image."""

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

    parameters: trainable scalars. fixed: what is saved with the model but not trained (running statistics, RBF codes).
    macs: multiply-accumulates of convolutions and linear layers for one image. connections: LeCun's count, biases included.
    memory: values of the input and all outputs for the batch, 4 bytes each.
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
        """All of it as JSON."""
        return json.dumps(asdict(self), indent=2)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows as text: the input first, the totals last. Columns that would be empty are left out."""
        headings = [
            "layer",
            "type",
            "kernel",
            "stride",
            "padding",
            "activation",
            "output",
            "memory",
            "parameters",
            "MACs",
            "connections",
        ]
        lines = [
            [
                "input",
                "",
                "",
                "",
                "",
                "",
                _size(self.input),
                _count(self.batch * math.prod(self.input)),
                "",
                "",
                "",
            ]
        ]
        for r in self.rows:
            counts = (r.memory, r.parameters, r.macs, r.connections)
            lines.append(
                [
                    r.name,
                    r.layer,
                    r.kernel,
                    r.stride,
                    r.padding,
                    r.activation,
                    _size(r.output),
                    *map(_count, counts),
                ]
            )
        lines.append(
            [
                "total",
                "",
                "",
                "",
                "",
                "",
                "",
                *map(_count, (self.memory, self.parameters, self.macs, self.connections)),
            ]
        )
        if any(r.note for r in self.rows):
            headings.append("note")
            for line, note in zip(lines, ["", *(r.note for r in self.rows), ""], strict=True):
                line.append(note)
        return headings, lines

    def footer(self) -> str:
        """One sentence with the sizes in bytes."""
        text = (
            f"{self.parameters:,} parameters ({_bytes(4 * (self.parameters + self.fixed))} on disk"
        )
        text += f" with {self.fixed:,} fixed values" if self.fixed else ""
        images = "image" if self.batch == 1 else f"batch of {self.batch}"
        return f"{text}), {self.macs:,} multiply-accumulates an image, {_bytes(4 * self.memory)} of activations for one {images}"

    def to_markdown(self) -> str:
        """A markdown table and the footer."""
        headings, lines = self.table()
        rows = [
            headings,
            ["---"] * 6 + ["---"] + ["---:"] * 4 + ["---"] * (len(headings) - 11),
            *lines,
        ]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{self.footer()}\n"


def summarize(model: Layer, input_shape: Shape | None = None, batch: int = 1) -> Summary:
    """The table of a network for inputs of `input_shape` (H, W, C), the model's own if None.

    Raises ShapeError if the network cannot take that input, ValueError if no shape is known.
    """
    input_shape = tuple(input_shape or getattr(model, "input_shape", ()))
    if not input_shape:
        raise ValueError("the network does not say what it reads; give input_shape=(H, W, C)")
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
        model=getattr(model, "name", None) or type(model).__name__,
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
