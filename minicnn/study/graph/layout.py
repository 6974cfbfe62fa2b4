"""The place of every node: networks are chains and parallel paths, so a recursion is exact.

Lengths are in points. A `Part` has the line that enters it and leaves it at `spine` from its left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .labels import ADD
from .shapes import Point, Shapes, count_text, size_text, text_width
from .tree import Block, Box, Chain, Network, Node

TITLE, TEXT, SMALL = 9.0, 9.0, 7.5  # font sizes
LINE = 12.0  # height of a line of text
GAP, PAD = 14.0, 7.0  # between boxes in a chain; around text
ASIDE = 16.0  # between parallel paths
GUTTER = 34.0  # between columns
JOINT = 15.0  # height of the pill that joins paths
FRAME = 8.0  # around the paths of a block
ASPECT = 16 / 9


@dataclass
class Part:
    """A node with its size. Subclasses draw themselves below and to the right of a point."""

    width: float = 0.0
    height: float = 0.0
    spine: float = 0.0

    def draw(self, shapes: Shapes, x: float, y: float) -> None:
        """Draw at x, y, the upper left corner."""


class BoxPart(Part):
    """A box with up to three lines.

    full: with the names of the containers, for a box outside of all frames.
    """

    def __init__(self, box: Box, full: bool = False) -> None:
        self.box = box
        name = box.name if full else box.name.rpartition(".")[2]
        numbers = [size_text(box.output)]
        numbers += [f"{count_text(box.parameters)} par"] if box.parameters else []
        numbers += [f"{count_text(box.macs)} MAC"] if box.macs else []
        title = "" if name.isdigit() or name in ("conv", "body") else name
        self.lines = [(title, TITLE, "bold", "black")] if title else []
        self.lines += [(text, TEXT, "normal", "black") for text in box.text.split("\n")]
        self.lines += [("  ".join(numbers), SMALL, "normal", "0.3")]
        widest = max(text_width(text, size, weight) for text, size, weight, _ in self.lines)
        width = widest + 2 * PAD
        super().__init__(width, LINE * len(self.lines) + PAD, width / 2)

    def draw(self, shapes: Shapes, x: float, y: float) -> None:
        shapes.boxes.append((x, y, self.width, self.height, self.box.kind))
        for i, (text, size, weight, color) in enumerate(self.lines):
            at = x + self.width / 2, y + PAD / 2 + (i + 0.5) * LINE
            shapes.text(at, text, size, weight, color)


class ChainPart(Part):
    """Parts below each other, their spines in one line. Boxes are equally wide."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = list(parts)
        boxes = [p for p in self.parts if isinstance(p, BoxPart)]
        for box in boxes:
            box.width = max(b.width for b in boxes)
            box.spine = box.width / 2
        left = max((p.spine for p in self.parts), default=0.0)
        right = max((p.width - p.spine for p in self.parts), default=0.0)
        height = sum(p.height for p in self.parts) + GAP * max(len(self.parts) - 1, 0)
        super().__init__(left + right, height, left)

    def draw(self, shapes: Shapes, x: float, y: float) -> None:
        spine = x + self.spine
        for i, part in enumerate(self.parts):
            if i:
                shapes.line([(spine, y - GAP), (spine, y)])
            part.draw(shapes, spine - part.spine, y)
            y += part.height + GAP


class BlockPart(Part):
    """Parallel paths side by side in a frame, between a split and a joint.

    A residual block has its shortcut to the right of the body.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.paths = [part_of(path) for path in block.paths]
        inner = sum(p.width for p in self.paths) + ASIDE * (len(self.paths) - 1)
        self.inside = max(p.height for p in self.paths)
        self.names = _names(block)
        title = 2 * (text_width(self.names[0], TITLE, "bold") + 6)  # at the left of the spine
        joint = self._joint_text()
        self.joint_width = text_width(joint, SMALL, "normal") + 2 * PAD
        width = max(inner, title, self.joint_width) + 2 * FRAME
        self.margin = (width - inner) / 2
        spine = width / 2
        if block.kind == ADD:  # the title is at the left of the line that enters
            room = text_width(self.names[0], TITLE, "bold") + 2 * FRAME - self.paths[0].spine
            self.margin = max(FRAME, room, self.joint_width / 2 + FRAME - self.paths[0].spine)
            width = self.margin + inner + FRAME
            spine = self.margin + self.paths[0].spine
        self.top = LINE + GAP  # the title and the split
        height = self.top + self.inside + GAP + JOINT + FRAME
        super().__init__(width, height, spine)

    def _joint_text(self) -> str:
        words = [self.block.kind, self.block.text] if self.block.text else [self.block.kind]
        text = f"{', '.join(words)}  {size_text(self.block.output)}"
        last = self.block.others[-1].output if self.block.others else self.block.output
        return text if last == self.block.output else f"{text} to {last[-1]}"

    def draw(self, shapes: Shapes, x: float, y: float) -> None:
        spine, top = x + self.spine, y + self.top
        bottom = top + self.inside
        joint = bottom + GAP
        shapes.frames.append((x, y, self.width, self.height, bool(self.block.others)))
        shapes.text((x + FRAME, y + LINE / 2 + 1), self.names[0], TITLE, "bold", "0.25", "left")
        if self.block.others:
            corner = x + self.width - FRAME, y + LINE / 2 + 1
            shapes.text(corner, self.names[1], TITLE + 2, "bold", "#b03030", "right")
        split = top - GAP / 2
        shapes.line([(spine, y), (spine, split)], arrow=False)
        left = x + self.margin
        half = self.joint_width / 2
        for path in self.paths:
            at = left + path.spine
            if self.block.kind == ADD and path is not self.paths[0]:
                self._draw_shortcut(shapes, path, left, split, (spine + half, joint + JOINT / 2))
            else:
                shapes.line([(spine, split), (at, split), (at, top)], arrow=path.height > 0)
                path.draw(shapes, left, top)
                end = min(max(at, spine - half + 6), spine + half - 6)
                middle = bottom + GAP / 2
                start = top + path.height
                points = [(at, start), (at, middle), (end, middle), (end, joint)]
                shapes.line(points if end != at else [(at, start), (at, joint)])
            left += path.width + ASIDE
        shapes.joints.append((spine - half, joint, self.joint_width, JOINT))
        shapes.text((spine, joint + JOINT / 2), self._joint_text(), SMALL)
        shapes.line([(spine, joint + JOINT), (spine, y + self.height)], arrow=False)

    def _draw_shortcut(
        self, shapes: Shapes, path: Part, left: float, split: float, end: Point
    ) -> None:
        """From the split to the right, down beside the body, and into the joint from the right."""
        at, top = left + path.spine, split + GAP / 2
        start = self.paths[0].spine + left - self.paths[0].width - ASIDE
        if path.height:
            shapes.line([(start, split), (at, split), (at, top)])
            path.draw(shapes, left, top)
            shapes.line([(at, top + path.height), (at, end[1]), end])
        else:
            shapes.line([(start, split), (at, split), (at, end[1]), end])


def _names(block: Block) -> list[str]:
    """The title of a block, and how many it stands for."""
    name = f"{block.name} to {_last_name(block)}" if block.others else block.name
    plain = name.rpartition(".")[2] if name.rpartition(".")[0].count(".") > 1 else name
    plain = "" if plain.isdigit() else plain
    return [plain, f"x{1 + len(block.others)}"] if block.others else [plain]


def _last_name(block: Block) -> str:
    """The name of the last folded block; only its number if the names count the blocks."""
    first, last = (b.name.rpartition(".")[2] for b in (block, block.others[-1]))
    stem = first.rstrip("0123456789")
    digits = first.removeprefix(stem)
    number = str(int(digits) + len(block.others)) if digits else ""
    return number if last == stem + number else last


class HeadPart(Part):
    """A part, with an auxiliary classifier at its right, which reads its output."""

    def __init__(self, part: Part, head: Box) -> None:
        self.part, self.head = part, BoxPart(head)
        super().__init__(
            part.width + ASIDE + self.head.width, max(part.height, self.head.height), part.spine
        )

    def draw(self, shapes: Shapes, x: float, y: float) -> None:
        self.part.draw(shapes, x, y)
        left, top = x + self.part.width + ASIDE, y + self.part.height - self.head.height
        self.head.draw(shapes, left, top)
        out = y + self.part.height - FRAME / 2
        shapes.line([(x + self.part.spine, out), (left, out)], dashed=True)


def part_of(node: Node) -> Part:
    """The part of a node."""
    if isinstance(node, Box):
        return BoxPart(node)
    if isinstance(node, Block):
        return BlockPart(node)
    assert isinstance(node, Chain)
    return ChainPart([part_of(n) for n in node.nodes])


def place(network: Network) -> tuple[Shapes, float, float]:
    """Everything that is drawn, and its width and height: columns, read from left to right."""
    parts: list[Part] = []
    for node in network.chain.nodes:
        part = BoxPart(node, full=True) if isinstance(node, Box) else part_of(node)
        head = network.heads.get(node.name)
        parts.append(HeadPart(part, head) if head else part)
    parts.insert(0, BoxPart(Box("input", network.input, "input", "images", 0, 0)))
    columns = _columns(parts)
    shapes, x = Shapes(), 0.0
    height = max(c.height for c in columns)
    before: Point | None = None
    for column in columns:
        spine = x + column.spine
        if before:
            gutter = x - GUTTER / 2
            down = before[1] + GAP / 2
            points = [before, (before[0], down), (gutter, down), (gutter, -GAP)]
            shapes.line([*points, (spine, -GAP), (spine, 0.0)])
        column.draw(shapes, x, 0.0)
        before = spine, column.height
        x += column.width + GUTTER
    return shapes, x - GUTTER, height + GAP


def _columns(parts: list[Part]) -> list[ChainPart]:
    """The columns whose picture comes nearest to the form of a slide, with little empty space."""
    best: list[ChainPart] = []
    least = float("inf")
    total = sum(p.height + GAP for p in parts)
    highest = max(p.height for p in parts)
    for number in range(1, min(len(parts), 12) + 1):
        for stretch in (1.0, 1.1, 1.2, 1.35):
            columns = _cut(parts, max(stretch * total / number, highest))
            width = sum(c.width + GUTTER for c in columns)
            height = max(c.height for c in columns)
            form = width / height
            used = sum(c.width * c.height for c in columns) / (width * height)
            cost = max(form / ASPECT, ASPECT / form) / used
            if cost < least:
                best, least = columns, cost
    return best


def _cut(parts: list[Part], most: float) -> list[ChainPart]:
    """Columns of about that height, cut between parts."""
    columns: list[list[Part]] = [[]]
    height = 0.0
    for part in parts:
        if columns[-1] and height + part.height / 2 > most:
            columns.append([])
            height = 0.0
        columns[-1].append(part)
        height += part.height + GAP
    return [ChainPart(column) for column in columns]
