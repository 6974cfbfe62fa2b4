"""PyTorch's best of whole networks: training steps and inference of the tests' twins.

Ways: {contiguous, channels_last} x {eager, CUDA graph}; compiled ones are a part of their own,
because each network takes most of a minute.
"""

import importlib
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from minicnn import registry

from . import torch_side
from .environment import torch_times
from .parts import Task
from .steps import INFERENCE, STEPS, TINY_STEPS, inference_title
from .torch_side import Stored, Ways, attempted, kind_of, layouts, row

CALLS = "eager", "graph"


def tasks(
    precision: str, tiny: bool, stored: Stored = (), compiled: bool = False
) -> Iterator[Task]:
    """A training step of whole networks; `compiled`: by torch.compile."""
    for name, (batch, classes) in (TINY_STEPS if tiny else STEPS).items():
        if compiled or (f"{name}, batch {batch}", precision) not in stored:
            yield name, partial(_step, name, batch, classes, precision, compiled)


def inference(precision: str, tiny: bool, stored: Stored = ()) -> Iterator[Task]:
    """The forward pass in evaluation."""
    for name, (_, classes) in (TINY_STEPS if tiny else STEPS).items():
        batches = INFERENCE[:1] if tiny else INFERENCE
        if any((inference_title(name, batch), precision) not in stored for batch in batches):
            yield name, partial(_forward, name, batches, classes, precision)


def _step(name: str, batch: int, classes: int, precision: str, compiled: bool) -> Iterator[dict]:
    import torch

    found: list = []
    model, shape = twin(name, classes)
    model.train()
    if compiled:
        model = torch.compile(model)
    for layout, memory_format in layouts()[1:] if compiled else layouts():
        given = images(batch, shape, memory_format)
        labels = torch.randint(0, classes, (batch,), device=torch_side.DEVICE)
        model = model.to(memory_format=memory_format)
        work = training_step(model, given, labels, precision)
        found += _ways(work, f"{layout}, compiled" if compiled else layout)
        del given, work
        _release()
    yield from row(f"{name}, batch {batch}", precision, iter(found))


def _forward(name: str, batches: tuple[int, ...], classes: int, precision: str) -> Iterator[dict]:
    import torch

    model, shape = twin(name, classes)
    model = model.eval().to(kind_of(precision))
    for batch in batches:
        found: list = []
        for layout, memory_format in layouts():
            model = model.to(memory_format=memory_format)
            given = images(batch, shape, memory_format).to(kind_of(precision))

            def forward(model: Any = model, given: Any = given) -> Any:
                with torch.inference_mode():
                    return model(given)

            found += _ways(forward, layout)
            del given, forward
            _release()
        yield from row(inference_title(name, batch), precision, iter(found))


def twin(name: str, classes: int) -> tuple[Any, tuple[int, ...]]:
    """The network on the device, and the shape of its images."""
    import torch

    twins = importlib.import_module("tests.models.twins")
    model = twins.pair(name, classes, full=True)[1](None).to(torch_side.DEVICE)
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = True
    return model, registry.create(name, num_classes=classes).input_shape


def images(batch: int, shape: tuple[int, ...], memory_format: Any) -> Any:
    """Random images of a shape (H, W, C)."""
    import torch

    x = torch.randn(batch, shape[2], *shape[:2], device=torch_side.DEVICE)
    return x.to(memory_format=memory_format)


def training_step(model: Any, x: Any, labels: Any, precision: str) -> Callable[[], None]:
    """Forward, loss, backward and SGD with momentum; bf16 by autocast, with weights in float32."""
    import torch

    kind_of(precision)
    cross_entropy = torch.nn.functional.cross_entropy
    optimizer = torch.optim.SGD(
        model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=True
    )

    def losses() -> Any:
        with torch.autocast(torch_side.DEVICE, torch.bfloat16, enabled=precision == "bf16"):
            outputs = model(x)
            main, *others = outputs if isinstance(outputs, tuple) else (outputs,)
            return cross_entropy(main, labels) + 0.3 * sum(cross_entropy(o, labels) for o in others)

    def work() -> None:
        loss = losses()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return work


def _ways(work: Callable[[], Any], layout: str) -> Ways:
    for kind in CALLS:

        def measure(kind: str = kind) -> float:
            call = work if kind == "eager" else captured(work).replay
            return statistics.median(torch_times(call, launches=5))

        yield attempted(f"{layout}, {kind}", measure)


def captured(work: Callable[[], Any]) -> Any:
    """A graph of one call."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def _release() -> None:
    import torch

    if torch_side.DEVICE == "cuda":
        torch.cuda.empty_cache()
