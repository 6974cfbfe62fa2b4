"""Muon: momentum whose updates are orthogonalized (Jordan et al. 2024).

Source: kellerjordan.github.io/posts/muon, and airbench94_muon.py in
github.com/KellerJordan/cifar10-airbench.
"""

from collections.abc import Iterable

from ..checks import checked_flag, checked_whole, is_number
from ..errors import brief
from ..kernels import functional as F
from ..kernels.types import Array
from ..layers import Parameter
from .optimizers import OPTIMIZERS, Optimizer, checked_share

# Of a x + b x^3 + c x^5, chosen for a large slope at 0: its iterates do not converge to 1, but stay
# near it.
QUINTIC = 3.4445, -4.7750, 2.0315


def orthogonalize(matrix: Array, iterations: int = 5) -> Array:
    """About U V^T for the matrix U S V^T, `(rows, columns)`, by Newton-Schulz iteration.

        X = M / |M|,    then repeatedly    X = a X + (b A + c A^2) X    with A = X X^T

    |M| is the Frobenius norm, so that no singular value of X is above 1.
    """
    a, b, c = QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T.copy() if is_tall else matrix
    x = x / ((x * x).sum() ** 0.5 + x.dtype.type(1e-7))
    for _ in range(iterations):
        gram = F.linear(x, x.T.copy())
        x = a * x + F.linear(b * gram + c * F.linear(gram, gram), x)
    return x.T if is_tall else x


class Muon(Optimizer):
    """Momentum, with orthogonalized updates of matrices and filters.

    With the gradient g, as a matrix with one column per output:

        v = momentum * v + g                        u = g + momentum * v (Nesterov), or v
        w = (1 - lr * weight_decay) * w - lr * sqrt(max(1, outputs / inputs)) * orthogonalize(u)

    iterations: of Newton and Schulz.
    plain: matrices that are updated without orthogonalization, as vectors are; the source trains
        the last layer so. plain_lr: the multiple of the learning rate for those and for vectors.
    normalize: scale the weights to the norm sqrt(outputs) before each update, as airbench does.
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        iterations: int = 5,
        normalize: bool = False,
        plain: Iterable[Parameter] = (),
        plain_lr: float = 1.0,
    ):
        super().__init__(parameters, lr, weight_decay)
        if not is_number(plain_lr, 0):
            raise ValueError(f"Muon: plain_lr={brief(plain_lr)}: expected a factor >= 0")
        self.momentum = checked_share(self, "momentum", momentum)
        self.nesterov = checked_flag("Muon: nesterov", nesterov)
        self.iterations = checked_whole("Muon: iterations", iterations)
        self.normalize, self.plain_lr = checked_flag("Muon: normalize", normalize), plain_lr
        chosen = {id(parameter) for parameter in plain}
        # By position, so that a checkpoint can compare them.
        self.plain = [i for i, p in enumerate(self.parameters) if id(p) in chosen]
        if len(self.plain) < len(chosen):
            raise ValueError("Muon: plain has a parameter that is not among the parameters")

    def update(  # type: ignore[override]
        self,
        values: list[Array],
        gradients: list[Array],
        velocities: list[Array],
        lr: list[float],
        weight_decay: list[float],
    ) -> None:
        plain = {id(self.parameters[i].value) for i in self.plain}
        for w, g, v, rate, decay in zip(
            values, gradients, velocities, lr, weight_decay, strict=True
        ):
            v *= self.momentum
            v += g
            direction = g + self.momentum * v if self.nesterov else v
            if w.ndim < 2 or id(w) in plain:
                w *= 1 - rate * self.plain_lr * decay
                w -= rate * self.plain_lr * direction
                continue
            matrix = direction.reshape(-1, w.shape[-1])
            inputs, outputs = matrix.shape
            if self.normalize:
                w *= (outputs / (w * w).sum()) ** 0.5
            scale = max(1, outputs / inputs) ** 0.5
            step = orthogonalize(matrix, self.iterations).reshape(w.shape)
            w *= 1 - rate * decay
            w -= rate * scale * step


OPTIMIZERS["muon"] = Muon
