"""Clipping: what may happen to gradients between backward and the update."""

from collections.abc import Sequence

import numpy as np

from ..checks import is_number
from ..errors import brief
from ..kernels.reference.arrays import array_module
from ..layers import Parameter


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
    if not is_number(limit, 0) or limit == 0:
        raise ValueError(f"{name}: limit={brief(limit)}: expected a positive number")
    return limit
