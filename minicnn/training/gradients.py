"""What happens to gradients between backward and the update: accumulation and clipping."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.reference.arrays import array_module
from ..layers import Parameter


class Accumulator:
    """The mean gradient of the images of `every` batches, for one update.

    After the backward of batch i, `add` makes `S += (n_i / N) g_i`, in the order of the batches,
    n_i being its images and N the batch size. At the end of the group the gradient is
    `S / sum_i (n_i / N)`: that of one large batch, up to batch norm, whose statistics are those of
    each batch. The sum is kept apart from the gradients, so its bits depend only on the g_i: other
    processes may compute these. The last group of an epoch may have fewer batches.
    """

    def __init__(self, parameters: Sequence[Parameter], every: int, batch_size: int):
        if not isinstance(every, (int, np.integer)) or every < 1:
            raise ValueError(f"accumulate={every!r}: expected a whole number of at least 1")
        self.parameters, self.every, self.batch_size = list(parameters), every, batch_size
        self._sums: list[Any] = []
        self._weight, self._batches = 0.0, 0

    def add(self, images: int, is_last: bool) -> bool:
        """Add the gradients of a batch. Returns True if they are those of a whole group now.

        is_last: the batch is the last one of its epoch.
        """
        if self.every == 1:
            return True
        weight = images / self.batch_size
        shares = [
            None if p._grad is None else p._grad * _number(p, weight) for p in self.parameters
        ]
        self._sums = shares if not self._batches else _added(self._sums, shares)
        self._weight, self._batches = self._weight + weight, self._batches + 1
        if self._batches < self.every and not is_last:
            return False
        for parameter, total in zip(self.parameters, self._sums, strict=True):
            parameter.zero_grad()
            if total is not None:
                total *= _number(parameter, 1 / self._weight)
                parameter.add_grad(total, copy=False)
        self._sums, self._weight, self._batches = [], 0.0, 0
        return True


def _number(parameter: Parameter, value: float) -> Any:
    """`value` in the parameter's type."""
    return parameter.value.dtype.type(value)


def _added(sums: list[Any], shares: list[Any]) -> list[Any]:
    """The sums of two lists of gradients; None is no gradient."""
    for i, share in enumerate(shares):
        if sums[i] is None:
            sums[i] = share
        elif share is not None:
            sums[i] += share
    return sums


class ClipNorm:
    """Scale all gradients together so that their joint L2 norm is at most `limit`.

        g *= min(1, limit / (norm + 1e-6)),    norm = sqrt(sum over all parameters of g^2)

    Source: Pascanu et al. 2013, algorithm 1; 1e-6 as in torch.
    """

    def __init__(self, limit: float):
        self.limit = _checked("ClipNorm", limit)

    def __call__(self, parameters: Sequence[Parameter]) -> None:
        """Change the gradients in place. On a GPU the norm stays there."""
        gradients = [p._grad for p in parameters if p._grad is not None]
        if not gradients:
            return
        xp = array_module(gradients[0])
        squares = sum(xp.square(g).sum(dtype=np.float64) for g in gradients)
        scale = xp.minimum(1.0, self.limit / (xp.sqrt(squares) + 1e-6))
        for g in gradients:
            g *= scale.astype(g.dtype)

    def __repr__(self) -> str:
        return f"ClipNorm({self.limit:g})"


class ClipValue:
    """Limit every element of the gradients to -limit..limit."""

    def __init__(self, limit: float):
        self.limit = _checked("ClipValue", limit)

    def __call__(self, parameters: Sequence[Parameter]) -> None:
        """Change the gradients in place."""
        for gradient in (p._grad for p in parameters if p._grad is not None):
            gradient.clip(-self.limit, self.limit, out=gradient)

    def __repr__(self) -> str:
        return f"ClipValue({self.limit:g})"


def _checked(name: str, limit: float) -> float:
    if not (math.isfinite(limit) and limit > 0):
        raise ValueError(f"{name}: limit={limit!r}: expected a positive number")
    return limit
