"""How fast: operations and training steps beside PyTorch's best, in one process, on the same data and in the same class of precision.

PyTorch's best is the fastest of {contiguous, channels_last} x {eager, CUDA graph} (networks: and torch.compile, except with --quick),
with cudnn.benchmark on. Ours is a captured graph. Buffers rotate, so that what is read is not in the L2 cache already.
"""

import importlib
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .. import registry, training
from ..device import runtime, set_precision, to_input
from ..kernels import dispatch
from ..training.metrics import loss_of
from .environment import has_torch, torch_times

TORCH = "cuda"  # torch's name of the device; the tests of this file have none but the CPU
L2 = 128 << 20  # bytes that rotating buffers exceed: twice an H200's L2 cache

# name: images, kernel, filters, geometry
CONVOLUTIONS: dict[str, tuple] = {
    "VGG 3x3, 64 to 64 at 224": ((32, 224, 224, 64), 3, 64, {"padding": 1}),
    "VGG 3x3, 256 to 256 at 56": ((64, 56, 56, 256), 3, 256, {"padding": 1}),
    "VGG 3x3, 512 to 512 at 14": ((128, 14, 14, 512), 3, 512, {"padding": 1}),
    "ResNet 3x3, 64 to 64 at 56": ((128, 56, 56, 64), 3, 64, {"padding": 1}),
    "ResNet 3x3/2, 128 to 256 at 28": ((128, 28, 28, 128), 3, 256, {"padding": 1, "stride": 2}),
    "ResNet 1x1, 256 to 64 at 56": ((128, 56, 56, 256), 1, 64, {}),
    "ResNet 1x1, 512 to 2048 at 7": ((128, 7, 7, 512), 1, 2048, {}),
    "ResNet 7x7/2, 3 to 64 at 224": ((64, 224, 224, 3), 7, 64, {"padding": 3, "stride": 2}),
    "GoogLeNet 5x5, 32 to 96 at 14": ((128, 14, 14, 32), 5, 96, {"padding": 2}),
}
QUICK = {
    name: CONVOLUTIONS[name] for name in ("VGG 3x3, 256 to 256 at 56", "ResNet 1x1, 256 to 64 at 56", "ResNet 3x3/2, 128 to 256 at 28")
}
TINY = {"tiny 3x3": ((1, 6, 6, 8), 3, 8, {"padding": 1})}
PASSES = ("forward", "input gradient", "weight gradient")
STEPS = {"lenet5": 128, "alexnet": 128, "googlenet": 128, "resnet18": 128, "resnet50": 128, "vgg16": 64, "nin_cifar10": 128}
QUICK_STEPS = {name: STEPS[name] for name in ("lenet5", "resnet18")}


class Row(NamedTuple):
    """One measurement. Seconds are medians; `floor` is the least time that the ceilings allow."""

    group: str
    name: str
    precision: str
    seconds: float
    torch: float | None
    way: str | None  # how torch was fastest
    flops: float
    bytes: float

    @property
    def ratio(self) -> float | None:
        """PyTorch's time over ours."""
        return self.torch / self.seconds if self.torch else None

    def share(self, ceilings: dict[str, float]) -> float | None:
        """The floor over our time: the larger of bytes at the copy's bandwidth and FLOPs at the product's rate."""
        rate = ceilings.get(f"{'tf32' if self.precision == 'fp32' else self.precision} product, FLOP/s")
        effort = 3 if self.precision == "fp32" else 1  # 3xTF32
        floors = [self.bytes / ceilings["copy, bytes/s"]] + ([effort * self.flops / rate] if rate and self.flops else [])
        return max(floors) / self.seconds if max(floors) else None


def operations(precisions, shapes: dict[str, tuple], batch: int, progress: Callable[[str], None]) -> Iterator[Row]:
    """Convolutions of these shapes by pass, and for `batch` images what is bound by memory."""
    for precision in precisions:
        set_precision(precision)
        for name, (shape, size, filters, geometry) in shapes.items():
            progress(f"{precision}: {name}")
            yield from _convolution(name, shape, size, filters, geometry, precision)
        progress(f"{precision}: memory-bound operations")
        yield from _memory_bound(precision, batch)
    set_precision("fp32")


def _images(generator, shape):
    return to_input(generator.standard_normal(shape, dtype=np.float32), "cuda")


def _rotated(make: Callable, nbytes: int) -> list:
    """As many sets of buffers as exceed the L2 cache."""
    return [make() for _ in range(max(1, min(8, -(-L2 // max(nbytes, 1)))))]


def one(name: str, precision: str) -> None:
    """Run the convolution and pass of that name (as in the table of speeds) three times. Raises ValueError for an unknown one."""
    for known, (shape, size, filters, geometry) in (CONVOLUTIONS | TINY).items():
        if name in [f"{known}, {what}" for what in PASSES]:
            set_precision(precision)
            work, *_ = _prepared(shape, size, filters, geometry)
            for i in range(3):
                work[name.removeprefix(f"{known}, ")](i)
            return
    raise ValueError(f"--one {name}: there is no such convolution; known are {', '.join(CONVOLUTIONS)}, each with {', '.join(PASSES)}")


def _prepared(shape, size, filters, geometry) -> tuple[dict[str, Callable], int, float, int]:
    """Each pass as a call, how many sets of buffers they go through, the FLOPs and the bytes that a pass moves at least."""
    generator = np.random.default_rng(0)
    w = runtime().upload(generator.standard_normal((size, size, shape[3], filters), dtype=np.float32) / np.float32(size * shape[3] ** 0.5))
    x = _images(generator, shape)
    y = dispatch.conv2d(x, w, **geometry)
    dy = _images(generator, y.shape)
    moved = x.nbytes + y.nbytes + w.nbytes
    sets = [(x, dy)] + [(x.copy(), dy.copy()) for _ in _rotated(lambda: None, moved)[1:]]
    work = {
        "forward": lambda i: dispatch.conv2d(sets[i % len(sets)][0], w, **geometry),
        "input gradient": lambda i: dispatch.conv2d_grad_input(sets[i % len(sets)][1], w, shape, **geometry),
        "weight gradient": lambda i: dispatch.conv2d_grad_weight(sets[i % len(sets)][1], sets[i % len(sets)][0], w.shape, **geometry),
    }
    return work, len(sets), 2.0 * y.size * size * size * shape[3], moved


def _convolution(name, shape, size, filters, geometry, precision) -> Iterator[Row]:
    work, count, flops, moved = _prepared(shape, size, filters, geometry)
    theirs = _torch_convolution(shape, size, filters, geometry, precision, count) if has_torch() else {}
    for what in PASSES:
        if what == "input gradient" and shape[3] == 3:
            continue  # nobody asks for a first layer's
        seconds = statistics.median(runtime().times(work[what]))
        best = min(theirs.get(what, {}).items(), key=lambda item: item[1], default=(None, None))
        yield Row("convolution", f"{name}, {what}", precision, seconds, best[1], best[0], flops, moved)


def _torch_convolution(shape, size, filters, geometry, precision, count) -> dict[str, dict[str, float]]:
    """Pass -> way -> seconds."""
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    stride, padding = geometry.get("stride", 1), geometry.get("padding", 0)
    found: dict[str, dict[str, float]] = {name: {} for name in PASSES}
    for layout in (torch.contiguous_format, torch.channels_last):
        w = torch.randn(filters, shape[3], size, size, device=TORCH, dtype=kind).to(memory_format=layout)
        xs = [torch.randn(shape[0], shape[3], *shape[1:3], device=TORCH, dtype=kind).to(memory_format=layout) for _ in range(count)]
        dys = [torch.randn_like(torch.nn.functional.conv2d(x, w, None, stride, padding)) for x in xs]
        turn = iter(range(10**9))

        def backward(mask, w=w, xs=xs, dys=dys, turn=turn):
            i = next(turn) % len(xs)
            rest = [0], [stride, stride], [padding, padding], [1, 1], False, [0, 0], 1, mask
            return torch.ops.aten.convolution_backward(dys[i], xs[i], w, *rest)

        calls: dict[str, Callable] = {
            "forward": lambda w=w, xs=xs, turn=turn: torch.nn.functional.conv2d(xs[next(turn) % len(xs)], w, None, stride, padding),
            "input gradient": lambda backward=backward: backward([True, False, False]),
            "weight gradient": lambda backward=backward: backward([False, True, False]),
        }
        for what, call in calls.items():
            if what == "input gradient" and shape[3] == 3:
                continue
            for way, times in _ways(call):
                found[what][f"{str(layout).removeprefix('torch.')}, {way}"] = times
    return found


def _ways(call: Callable) -> Iterator[tuple[str, float]]:
    """Eager, and as a CUDA graph of ten calls."""
    import torch

    yield "eager", statistics.median(torch_times(call))
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = [call() for _ in range(10)]
        yield "graph", statistics.median(torch_times(graph.replay, launches=2)) / 10
        del kept
    except (RuntimeError, AssertionError):
        pass  # what cannot be captured stays eager


def _memory_bound(precision: str, batch: int) -> Iterator[Row]:
    """LRN, pooling, batch norm, addition, cross-entropy and the optimiser's step: forward and backward together."""
    run, generator = runtime(), np.random.default_rng(0)
    x = _images(generator, (batch, 56, 56, 64))
    dy, c, nbytes = x.copy(), 64, x.nbytes
    gamma, beta, mean, var = (run.upload(np.ones(c, np.float32)) for _ in range(4))

    def lrn(i):
        y, scale = dispatch.local_response_norm(x)
        dispatch.local_response_norm_grad(dy, x, y, scale)

    def max_pool(i):
        y, argmax = dispatch.max_pool2d(x, 2)
        dispatch.max_pool2d_grad(y, argmax, x.shape, 2)

    def batch_norm(i):
        _, m, s = dispatch.batch_norm(x, gamma, beta, mean, var, activation="relu")
        dispatch.batch_norm_grad(dy, x, gamma, m, s, beta=beta, activation="relu")

    logits, labels = _images(generator, (32 * batch, 1000)), run.upload(generator.integers(0, 1000, 32 * batch))
    values, gradients, velocities = ([run.upload(np.ones(batch << 15, np.float32)) for _ in range(6)] for _ in range(3))
    size = sum(a.nbytes for a in values)
    work = {
        # name: call, bytes moved at least
        "LRN": (lrn, 5 * nbytes + 2 * x.size * 4),
        "max pool 2x2": (max_pool, int(2.5 * nbytes) + x.size // 2),
        "batch norm + ReLU": (batch_norm, 8 * nbytes),
        "add + ReLU": (lambda i: dispatch.add(x, dy, "relu"), 3 * nbytes),
        "softmax cross-entropy": (lambda i: dispatch.softmax_cross_entropy(logits, labels), 2 * logits.nbytes),
        "SGD with momentum": (lambda i: dispatch.sgd_update(values, gradients, velocities, [0.1] * 6, [0.0] * 6, 0.9), 5 * size),
    }
    theirs = _torch_memory_bound(x.shape, logits.shape, batch << 15, precision) if has_torch() else {}
    for name, (call, moved) in work.items():
        seconds = statistics.median(run.times(call))
        best = min(theirs.get(name, {}).items(), key=lambda item: item[1], default=(None, None))
        yield Row("memory", name, precision, seconds, best[1], best[0], 0.0, moved)


def _torch_memory_bound(shape, logits_shape, parameter_size, precision) -> dict[str, dict[str, float]]:
    import torch
    from torch.nn import functional as F

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    found: dict[str, dict[str, float]] = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        name = str(layout).removeprefix("torch.")
        x = torch.randn(shape[0], shape[3], *shape[1:3], device=TORCH, dtype=kind).to(memory_format=layout).requires_grad_()
        dy = torch.randn_like(x)
        gamma, beta, mean, var = (torch.ones(shape[3], device=TORCH) for _ in range(4))
        gamma.requires_grad_(), beta.requires_grad_()

        def both(forward, x=x):
            y = forward()
            torch.autograd.grad(y, x, torch.ones_like(y))

        calls: dict[str, Callable] = {
            "LRN": lambda x=x: both(lambda: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0), x),
            "max pool 2x2": lambda x=x: both(lambda: F.max_pool2d(x, 2), x),
            "batch norm + ReLU": lambda x=x, m=mean, v=var, g=gamma, b=beta: both(lambda: F.relu(F.batch_norm(x, m, v, g, b, True)), x),
            "add + ReLU": lambda x=x, dy=dy: F.relu(x.detach() + dy, inplace=True),
        }
        for what, call in calls.items():
            for way, seconds in _ways(call):
                found.setdefault(what, {})[f"{name}, {way}"] = seconds
    logits = torch.randn(logits_shape, device=TORCH, dtype=kind, requires_grad=True)
    labels = torch.randint(0, logits_shape[1], logits_shape[:1], device=TORCH)
    found["softmax cross-entropy"] = dict(_ways(lambda: torch.autograd.grad(F.cross_entropy(logits, labels), logits)))
    parameters = [torch.ones(parameter_size, device=TORCH, requires_grad=True) for _ in range(6)]
    for p in parameters:
        p.grad = torch.ones_like(p)
    found["SGD with momentum"] = dict(_ways(torch.optim.SGD(parameters, 0.1, momentum=0.9, fused=True).step))
    return found


# ---- training steps -------------------------------------------------------------------------------------------------


def steps(precisions, networks: dict[str, int], quick: bool, progress: Callable[[str], None]) -> Iterator[Row]:
    """A training step of whole networks, name -> batch: forward, loss, backward, SGD with momentum and weight decay."""
    for name, n in networks.items():
        for precision in precisions:
            progress(f"{precision}: a step of {name}, batch {n}")
            set_precision(precision)
            seconds, flops = _our_step(name, n)
            theirs = _torch_step(name, n, precision, quick) if has_torch() else {}
            best = min(theirs.items(), key=lambda item: item[1], default=(None, None))
            yield Row("training step", f"{name}, batch {n}", precision, seconds, best[1], best[0], flops, 0.0)
    set_precision("fp32")


def fused_lenet(n: int = 128) -> Iterator[Row]:
    """LeNet-5's step as a graph of nine kernels and as one kernel (kernels/cuda/lenet.cu), float32; beside them PyTorch's best."""
    from ..kernels.cuda import lenet
    from ..study.summary import summarize

    run, model = runtime(), registry.create("lenet5", seed=0)
    parameters, velocities = ([run.upload(make(p.value)) for p in model.parameters()] for make in (np.copy, np.zeros_like))
    generator, totals = np.random.default_rng(0), run.upload(np.zeros(2))
    x = run.upload(generator.standard_normal((n, *model.input_shape), dtype=np.float32))
    labels = run.upload(generator.integers(0, 10, n))
    theirs = _torch_step("lenet5", n, "fp32", quick=True) if has_torch() else {}
    best = min(theirs.items(), key=lambda item: item[1], default=(None, None))
    flops = 6.0 * n * summarize(model).macs
    for name, persistent in (("nine kernels", False), ("one kernel", True)):

        def step(i, persistent=persistent):
            lenet.train_step(parameters, velocities, x, labels, totals, 1e-3, persistent=persistent)

        seconds = statistics.median(run.times(step, captured=not persistent))
        yield Row("training step", f"lenet5, batch {n}, {name}", "ffma", seconds, best[1], best[0], flops, 0.0)


def _our_step(name: str, n: int) -> tuple[float, float]:
    from ..study.summary import summarize

    model = registry.create(name, seed=0, num_classes=10).to("cuda")
    optimizer, loss = training.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4), loss_of(model)
    generator = np.random.default_rng(0)
    x = runtime().upload(generator.standard_normal((n, *model.input_shape), dtype=np.float32))
    labels = runtime().upload(generator.integers(0, 10, n))
    model.train()

    def step(i):
        _, gradient = loss(model(to_input(x, "cuda")), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()

    times = runtime().times(step, launches=1 if n * model.input_shape[0] > 10000 else 5)
    return statistics.median(times), 6.0 * n * summarize(model).macs


def _torch_step(name: str, n: int, precision: str, quick: bool) -> dict[str, float]:
    """Way -> seconds; empty where the tests' twins are not at hand."""
    try:
        twins = importlib.import_module("tests.models.twins")
    except ImportError:
        return {}
    import torch

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    cross_entropy, found = torch.nn.functional.cross_entropy, {}
    shape = registry.create(name, num_classes=10).input_shape
    for layout in (torch.contiguous_format, torch.channels_last):
        for way in ("eager", "graph") if quick else ("eager", "graph", "compile"):
            model = twins.pair(name, 10, full=True)[1](None).to(TORCH).to(memory_format=layout).train()
            for module in model.modules():
                if isinstance(module, torch.nn.ReLU):
                    module.inplace = True
            x = torch.randn(n, shape[2], *shape[:2], device=TORCH).to(memory_format=layout)
            labels = torch.randint(0, 10, (n,), device=TORCH)
            optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=True)
            call = torch.compile(model) if way == "compile" else model

            def step(call=call, x=x, labels=labels, optimizer=optimizer):
                with torch.autocast(TORCH, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = call(x)
                    main, *others = outputs if isinstance(outputs, tuple) else (outputs,)
                    loss = cross_entropy(main, labels) + 0.3 * sum(cross_entropy(o, labels) for o in others)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

            label = f"{str(layout).removeprefix('torch.')}, {way}"
            try:
                found[label] = _step_time(step, way == "graph")
            except (RuntimeError, AssertionError) as error:  # what cannot be captured or compiled here is left out, and said
                print(f"  PyTorch, {name}, {label}: {str(error).splitlines()[0]}")
            del model, optimizer, call, step
            if TORCH == "cuda":
                torch.cuda.empty_cache()
    return found


def _step_time(step, as_graph: bool) -> float:
    import torch

    if not as_graph:
        return statistics.median(torch_times(step, launches=5))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return statistics.median(torch_times(graph.replay, launches=5))
