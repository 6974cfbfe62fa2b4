"""The operations of layers.py by PyTorch: the seconds of each, in one of its layouts."""

import os

import torch
import torch.nn.functional as F
from layers_work import MEMORY, PASSES, convolutions, median_time


def run_torch(groups, repeats: int, layout: str) -> dict[str, float]:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    memory_format = getattr(torch, f"{layout}_format", None) or getattr(torch, layout)
    found = {}
    for name, (n, c, k, size, r, stride, pad, g) in convolutions(groups).items():
        x = torch.randn(n, c, size, size).to(memory_format=memory_format)
        w, b = torch.randn(k, c // g, r, r).to(memory_format=memory_format), torch.randn(k)
        dy = torch.randn_like(F.conv2d(x, w, b, stride, pad, 1, g))

        def backward(*mask):
            torch.ops.aten.convolution_backward(
                dy, x, w, [k], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], g, mask
            )

        calls = (
            lambda: F.conv2d(x, w, b, stride, pad, 1, g),
            lambda: backward(True, False, False),
            lambda: backward(False, True, True),
        )
        with torch.no_grad():
            found |= {
                f"{name}: {which}": median_time(call, repeats)
                for which, call in zip(PASSES, calls, strict=True)
            }

    def both(function):
        """Forward and backward of a function of x."""

        def call(x, dy):
            y = function(x)
            y.backward(dy[: y.shape[0]] if dy.shape == y.shape else torch.ones_like(y))
            x.grad = None

        return call

    def linear(x, dy):
        F.linear(x, weight, bias).backward(dy)
        x.grad = weight.grad = bias.grad = None

    labels = torch.randint(0, 1000, (256,))
    gamma, beta = torch.ones(64, requires_grad=True), torch.zeros(64, requires_grad=True)
    mean, var = torch.zeros(64), torch.ones(64)

    def batch_norm(x, dy):
        torch.relu_(F.batch_norm(x, mean, var, gamma, beta, True)).backward(dy)
        x.grad = gamma.grad = beta.grad = None

    calls = {
        "LRN, AlexNet's first": both(lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)),
        "max pool 3x3/2": both(lambda x: F.max_pool2d(x, 3, 2, 1)),
        "max pool 2x2": both(lambda x: F.max_pool2d(x, 2)),
        "average pool 2x2": both(lambda x: F.avg_pool2d(x, 2)),
        "batch norm + ReLU": batch_norm,
        "ReLU": both(torch.relu),
        "residual add + ReLU": lambda x, dy: both(lambda x: torch.relu_(x + dy))(x, dy),
        "softmax cross-entropy": both(lambda x: F.cross_entropy(x, labels)),
        "linear 4096-4096, batch 4, forward + backward": linear,
        "linear 4096-4096, batch 64, forward + backward": linear,
    }
    for name, (shape, _) in MEMORY.items() if "memory" in groups else ():
        if "step" in name:
            parameter = torch.randn(shape, requires_grad=True)
            parameter.grad = torch.randn(shape)
            kind = torch.optim.SGD if "SGD" in name else torch.optim.Adam
            options = {"momentum": 0.9, "weight_decay": 5e-4} if "SGD" in name else {}
            optimizer = kind([parameter], lr=1e-3, fused=True, **options)
            found[name] = median_time(optimizer.step, repeats)
            continue
        shape = shape if len(shape) == 2 else (shape[0], shape[3], shape[1], shape[2])
        x, dy = torch.randn(shape), torch.randn(shape)
        if len(shape) == 4:
            x, dy = x.to(memory_format=memory_format), dy.to(memory_format=memory_format)
        if "linear" in name:
            weight, bias = (
                torch.randn(4096, 4096, requires_grad=True),
                torch.randn(4096, requires_grad=True),
            )
        x.requires_grad_()
        found[name] = median_time(lambda: calls[name](x, dy), repeats)
    return found
