"""PyTorch's best of the operations of memory.py, by the same names."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import torch_side
from .memory import GROUPS, IMAGES, LINEAR, LINEAR_PASSES, SIZES, TINY_LINEAR, TINY_SIZES
from .parts import Task
from .speed import copies
from .torch_side import Stored, kind_of, layouts, row, ways

Calls = dict[str, Callable[[], Any]]


def tasks(precision: str, tiny: bool, stored: Stored = ()) -> Iterator[Task]:
    """A task per operation on images; the loss; the optimizers; the linear layers."""
    shape, logits, parameters = TINY_SIZES if tiny else SIZES
    for name in IMAGES:
        if (name, precision) not in stored:
            yield name, partial(_images, name, shape, precision)
    for name, calls in (
        ("softmax cross-entropy", partial(loss, *logits)),
        ("SGD with momentum", partial(sgd, *parameters)),
        ("Adam", partial(adam, *parameters)),
    ):
        if (name, precision) not in stored:
            yield name, partial(_one, name, precision, calls)
    for name, sizes in (TINY_LINEAR if tiny else LINEAR).items():
        if any((f"{name}, {what}", precision) not in stored for what in LINEAR_PASSES):
            yield name, partial(_linear, name, precision, *sizes)


def _images(name: str, shape: tuple, precision: str) -> Iterator[dict]:
    found: list = []
    for layout, memory_format in layouts():
        found += ways(on_images(shape, precision, memory_format)[name], layout)
    yield from row(name, precision, iter(found))


def _one(name: str, precision: str, calls: Callable[[str], Callable]) -> Iterator[dict]:
    yield from row(name, precision, ways(calls(precision)))


def on_images(shape: tuple, precision: str, memory_format: Any) -> Calls:
    """Normalization, pooling and activations, forward and backward, on rotating buffers."""
    import torch
    from torch.nn import functional as F

    kind, channels = kind_of(precision), shape[3]
    count = copies(shape[0] * shape[1] * shape[2] * channels * kind.itemsize)
    sizes = shape[0], channels, *shape[1:3]

    def made() -> Any:
        x = torch.randn(sizes, device=torch_side.DEVICE, dtype=kind)
        return x.to(memory_format=memory_format)

    xs, dys = [made().requires_grad_() for _ in range(count)], [made() for _ in range(count)]
    upstream: dict[tuple, list] = {}
    mean, var, gamma, beta = (torch.ones(channels, device=torch_side.DEVICE) for _ in range(4))
    wide = [gamma.requires_grad_(), beta.requires_grad_()]
    same = [p.detach().to(kind).requires_grad_() for p in wide]  # which these norms insist on
    turn = iter(range(10**9))

    def both(forward: Callable, others: tuple | list = ()) -> Callable[[], Any]:
        def call() -> Any:
            i = next(turn) % count
            y = forward(xs[i])
            if y.shape == dys[i].shape:
                dy = dys[i]
            else:
                if y.shape not in upstream:  # in the first call, which no graph captures
                    upstream[y.shape] = [torch.randn_like(y) for _ in range(count)]
                dy = upstream[y.shape][i]
            return torch.autograd.grad(y, (xs[i], *others), dy)

        return call

    def add() -> Any:
        i = next(turn) % count
        return F.relu(xs[i].detach() + dys[i], inplace=True)

    def norm(x: Any) -> Any:
        return F.relu(F.batch_norm(x, mean, var, gamma, beta, True), inplace=True)

    def within(x: Any) -> Any:
        return x * (2 + 1e-4 * F.avg_pool2d(x * x, 5, 1, 2)) ** -0.75

    def layer_norm(x: Any) -> Any:
        y = F.layer_norm(x.permute(0, 2, 3, 1), (channels,), *same)
        return y.permute(0, 3, 1, 2)

    return {
        "batch norm + ReLU": both(norm, wide),
        "max pool 2x2": both(lambda x: F.max_pool2d(x, 2)),
        "add + ReLU": add,
        "LRN": both(lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)),
        "LRN within channels": both(within),
        "adaptive max pool to 7x7": both(lambda x: F.adaptive_max_pool2d(x, 7)),
        "group norm": both(lambda x: F.group_norm(x, GROUPS, *same), same),
        "layer norm": both(layer_norm, same),
        "GELU": both(F.gelu),
        "SiLU": both(F.silu),
        "hard swish": both(F.hardswish),
    }


def loss(rows: int, classes: int, precision: str) -> Callable[[], Any]:
    """Cross-entropy and its gradient, on rotating buffers."""
    import torch

    kind = kind_of(precision)
    count = copies(rows * classes * kind.itemsize)
    logits = [
        torch.randn(rows, classes, device=torch_side.DEVICE, dtype=kind, requires_grad=True)
        for _ in range(count)
    ]
    labels = torch.randint(0, classes, (rows,), device=torch_side.DEVICE)
    turn = iter(range(10**9))

    def call() -> Any:
        x = logits[next(turn) % count]
        return torch.autograd.grad(torch.nn.functional.cross_entropy(x, labels), x)

    return call


def sgd(arrays: int, size: int, precision: str) -> Callable[[], Any]:
    """The fused optimizer's step."""
    import torch

    return torch.optim.SGD(_parameters(arrays, size), 1e-3, momentum=0.9, fused=True).step


def adam(arrays: int, size: int, precision: str) -> Callable[[], Any]:
    """The fused optimizer's step."""
    import torch

    able = torch_side.DEVICE == "cuda"  # to keep the number of the step on the device
    return torch.optim.Adam(_parameters(arrays, size), 1e-3, fused=True, capturable=able).step


def _parameters(arrays: int, size: int) -> list:
    import torch

    found = [torch.ones(size, device=torch_side.DEVICE, requires_grad=True) for _ in range(arrays)]
    for parameter in found:
        parameter.grad = torch.ones_like(parameter)
    return found


def _linear(name: str, precision: str, rows: int, inputs: int, outputs: int) -> Iterator[dict]:
    for what, call in linear(rows, inputs, outputs, precision).items():
        yield from row(f"{name}, {what}", precision, ways(call))


def linear(rows: int, inputs: int, outputs: int, precision: str) -> Calls:
    """The passes of a linear layer, whose weights are in the type of the images."""
    import torch

    kind = kind_of(precision)
    count = copies(4 * inputs * outputs)
    made = partial(torch.randn, device=torch_side.DEVICE, dtype=kind)
    weights = [made(outputs, inputs) for _ in range(count)]
    bias, x, dy = made(outputs), made(rows, inputs), made(rows, outputs)
    turn = iter(range(10**9))
    calls = (
        lambda: torch.nn.functional.linear(x, weights[next(turn) % count], bias),
        lambda: dy @ weights[next(turn) % count],
        lambda: (dy.T @ x, dy.sum(0)),
    )
    return dict(zip(LINEAR_PASSES, calls, strict=True))
