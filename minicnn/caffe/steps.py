"""Which layers a network needs for one of its outputs, and what each of them reads."""

from collections import Counter
from dataclasses import dataclass

from ..errors import CheckpointError
from .net import IGNORED, LOSSES, CaffeLayer, Net


@dataclass
class Step:
    """A layer, and the arrays that it reads and writes, by numbers of their own.

    A layer that writes into its input (top == bottom) makes a new array here, as ours do.
    """

    layer: CaffeLayer
    reads: list[int]
    writes: list[int]


@dataclass
class Plan:
    """The steps to an output, in order. input, output: the numbers of these arrays.

    A softmax at the end is a step, but `output` is what it reads.
    input_name: Caffe's name of the input.
    """

    steps: list[Step]
    input: int
    input_name: str
    output: int
    readers: Counter[int]


def plan(net: Net, output: str | None = None) -> Plan:
    """The steps from the input to `output`, an array by name, or else the only output.

    Layers that read data or labels are left out. A softmax at the end is left out, too: our
    networks end with logits.
    Raises CheckpointError if there are several outputs or inputs, or an array that nothing writes.
    """
    numbers: dict[str, int] = {}  # the last version of each array by name
    names: list[str] = []
    steps: list[Step] = []
    losses: dict[int, float] = {}
    read: set[int] = set()

    def write(name: str) -> int:
        numbers[name] = len(names)
        names.append(name)
        return numbers[name]

    inputs = {write(name): name for name in net.inputs}
    for layer in net.layers:
        if layer.key in LOSSES and layer.bottoms[:1] and layer.bottoms[0] in numbers:
            weights = layer.message.numbers("loss_weight")
            losses[numbers[layer.bottoms[0]]] = float(weights[0]) if weights.size else 1.0
        if layer.key == "silence":  # what it reads is no output
            read |= {numbers[name] for name in layer.bottoms if name in numbers}
        if layer.key in IGNORED:
            continue
        missing = [name for name in layer.bottoms if name not in numbers]
        if missing:
            raise CheckpointError(
                f"{layer.label} reads {missing[0]!r}, which no layer before it writes"
            )
        reads = [numbers[name] for name in layer.bottoms]
        if layer.key == "split":  # one array under several names; Graph sums the gradients
            numbers |= {top: reads[0] for top in layer.tops if reads}
            continue
        read.update(reads)
        steps.append(Step(layer, reads, [write(name) for name in layer.tops]))
    unread = [number for step in steps for number in step.writes if number not in read]
    return _needed(steps, inputs, _output(unread, names, numbers, losses, output), names)


def _output(
    found: list[int],
    names: list[str],
    numbers: dict[str, int],
    losses: dict[int, float],
    output: str | None,
) -> int:
    """The number of the output. found: the arrays that nothing reads."""
    if output is not None:
        if output not in numbers:
            ends = ", ".join(repr(names[number]) for number in found)
            raise CheckpointError(f"it has no array {output!r}; its outputs are {ends}")
        return numbers[output]
    if len(found) > 1 and losses.keys() >= set(found):  # auxiliary classifiers weigh less
        top = max(losses[number] for number in found)
        found = [number for number in found if losses[number] == top]
    if len(found) != 1:
        if not found:
            raise CheckpointError("it has no layers that compute anything")
        ends = ", ".join(repr(names[number]) for number in found)
        raise CheckpointError(f"it has the outputs {ends}: give output=, the name of one of them")
    return found[0]


def _without_softmax(steps: list[Step], output: int) -> int:
    for step in reversed(steps):
        if output in step.writes and step.layer.key == "softmax" and len(step.reads) == 1:
            return step.reads[0]
    return output


def _needed(steps: list[Step], inputs: dict[int, str], output: int, names: list[str]) -> Plan:
    """Only the steps on a way to the output."""
    wanted, kept = {output}, []
    for step in reversed(steps):
        if wanted.intersection(step.writes):
            wanted.update(step.reads)
            kept.append(step)
    found = [number for number in inputs if number in wanted]
    if len(found) != 1:
        text = ", ".join(repr(inputs[number]) for number in found) or "none"
        raise CheckpointError(f"{names[output]!r} depends on the inputs {text}; expected one image")
    readers = Counter(number for step in kept for number in step.reads)
    return Plan(
        kept[::-1], found[0], inputs[found[0]], _without_softmax(kept[::-1], output), readers
    )
