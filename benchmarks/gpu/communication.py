"""NCCL and its stream, with one rank: it sends to itself, and its bits are those without it."""

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

import numpy as np

from minicnn import registry, rng, training
from minicnn.device import runtime, to_host
from minicnn.distributed.nccl import Nccl
from minicnn.distributed.team import Ranks
from minicnn.layers import BatchNorm2d, Flatten, Layer, Linear, Sequential
from minicnn.training import fitting

from .correctness import Check, relative
from .parts import Task

T = TypeVar("T")


class Alone(Ranks):
    """One rank without MPI: what it sends, it receives."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self.bytes_sent = self.messages = 0

    def first(self, function: Callable[[], T]) -> T:
        return function()

    def gather(self, value: T) -> list[T]:
        return [value]

    def gather_numbers(self, numbers: Any) -> Any:
        return numbers[None] if isinstance(numbers, np.ndarray) else super().gather_numbers(numbers)

    def start_exchange(self, send: np.ndarray, receive: np.ndarray) -> Any:
        receive[...] = send.reshape(receive.shape)
        return SimpleNamespace(Wait=lambda: None)

    start_gather = start_exchange


def tasks(tiny: bool) -> Iterator[Task]:
    """None where NCCL is not installed."""
    if runtime().nccl() is None:
        return
    for size in (1 << 10,) if tiny else (1 << 10, 1 << 20, 1 << 26):
        yield f"NCCL sends {size} bytes", partial(_sent, size)
    networks = ("one layer",) if tiny else ("lenet5", "resnet20_cifar")
    for name in networks:
        yield f"{name}, gradients through NCCL", partial(_gradients, name)
    yield "synchronized batch norm", partial(_synchronized, networks[-1])


def _sent(size: int) -> Iterator[dict]:
    run, team = runtime(), Alone()
    gpus = Nccl(team, run.nccl())
    host = np.random.default_rng().standard_normal((1, size // 4), dtype=np.float32)
    send, receive, whole = run.upload(host), *(run.empty(host.shape, np.float32) for _ in range(2))
    for _ in range(3):
        with gpus.aside():
            gpus.exchange(send, receive)
            gpus.gather(receive[0], whole)
        gpus.join()
    same = np.array_equal(to_host(whole), host)
    yield Check(f"NCCL: {size} bytes", "fp32", relative(whole, host), 0.0, same).row()


def _network(name: str) -> Layer:
    rng.seed(0)
    if name == "one layer":
        return Sequential(BatchNorm2d(3), Flatten(), Linear(12, 5))
    return registry.create(name, seed=0)


def _trained(name: str, team: Ranks | None, **options: Any) -> list[np.ndarray]:
    """The parameters and buffers after two epochs, whose steps are captured and replayed."""
    model, generator = _network(name).to("cuda"), np.random.default_rng(0)
    shape = model.input_shape or (2, 2, 3)
    x = generator.standard_normal((72, *shape), dtype=np.float32)
    labels = generator.integers(0, 5, 72)
    settings = {"batch_size": 8, "lr": 1e-3, "optimizer": "sgd", "epochs": 2, "progress": False}
    with mock.patch.object(fitting, "join", return_value=team):
        options = settings | {"distributed": team is not None} | options
        training.fit(model, (x, labels), **options)
    return [to_host(array) for array in model.state_dict().values()]


def _gradients(name: str) -> Iterator[dict]:
    """Three shards per update, by one rank and by one process."""
    expected = _trained(name, None, accumulate=3)
    found = _trained(name, Alone(), accumulate=3)
    same = all(a.tobytes() == b.tobytes() for a, b in zip(found, expected, strict=True))
    worst = max(relative(a, b) for a, b in zip(found, expected, strict=True))
    yield Check(f"{name}: the bits do not depend on NCCL", "fp32", worst, 0.0, same).row()


def _synchronized(name: str) -> Iterator[dict]:
    """Of one rank, synchronized batch norm is batch norm, up to rounding."""
    expected, found = _trained(name, None), _trained(name, Alone(), sync_bn=True)
    worst = max(relative(a, b) for a, b in zip(found, expected, strict=True))
    yield Check(f"{name}: synchronized batch norm", "fp32", worst, 1e-3, True).row()
