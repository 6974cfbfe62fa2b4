"""Batch norm with the statistics of the images of all processes."""

import numpy as np

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from ..layers import BatchNorm2d, Layer
from .team import Ranks


class SyncBatchNorm(Layer):
    """A batch norm whose mean and variance are those of all processes' images together.

    norm: what it replaces; its parameters and running statistics are used. Frozen, or in
    evaluation, it computes as `norm` does.

    Rank r has M_r values per channel, with mean m_r and sum of squared differences S_r, and M is
    the sum of the M_r. In the order of the ranks (Chan et al. 1979):

        mean = sum_r M_r m_r / M            var = sum_r (S_r + M_r (m_r - mean)^2) / M

    The loss of rank r is a mean over its own images, and counts w_r = M_r / M in the whole one. So
    with dbeta_r = sum dz and dgamma_r = sum dz x^ over its images, dz being dy before the
    activation:

        dx = gamma * inv_std * (dz - sum_r w_r (dbeta_r + x^ dgamma_r) / (M w))

    with the w of this rank. dgamma and dbeta stay those of its own images, as all gradients.
    """

    def __init__(self, norm: BatchNorm2d, team: Ranks):
        self.norm, self._team = norm, team

    def output_shape(self, shape: Shape) -> Shape:
        return self.norm.output_shape(shape)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        norm = self.norm
        if not norm.training:
            return norm.forward(x, out=out)
        norm.output_shape(x.shape)
        every, c = self._team.gather_numbers(self._moments(x)), norm.channels
        counts, means, squares = every[:, :1], every[:, 1 : 1 + c], every[:, 1 + c :]
        total = counts.sum()
        mean = (counts * means).sum(axis=0) / total
        var = (squares + counts * (means - mean) ** 2).sum(axis=0) / total
        for running, value in (
            (norm.running_mean, mean),
            (norm.running_var, var * (total / (total - 1))),
        ):
            running += norm.momentum * (value.astype(running.dtype) - running)
        gamma, beta, *_ = norm.arguments()
        statistics = mean.astype(gamma.dtype), var.astype(gamma.dtype)
        y, mean, inv_std = F.batch_norm(
            x, gamma, beta, *statistics, False, norm.momentum, norm.eps, norm.activation, out=out
        )
        self.save_for_backward(x, mean, inv_std, counts[:, 0])
        return y

    def _moments(self, x: Array) -> Array:
        """M_r, m_r and S_r of this rank, float64 `(1 + 2 C,)`."""
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes, dtype=np.float64)
        squares = ((x - mean) ** 2).sum(axis=axes)
        return np.concatenate([[x.size // x.shape[-1]], mean, squares])

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        norm = self.norm
        if not norm.training:
            return norm.backward(dy, need_dx=need_dx)
        x, mean, inv_std, counts = self.pop_saved()
        dx, dgamma, dbeta = self._gradients(dy, x, mean, inv_std, counts)
        if norm.weight is not None:
            norm.weight.add_grad(dgamma, copy=False)
        norm.bias.add_grad(dbeta, copy=False)
        return dx

    def _gradients(
        self, dy: Array, x: Array, mean: Array, inv_std: Array, counts: Array
    ) -> tuple[Array, Array, Array]:
        """dx, and dgamma and dbeta of this rank's images. counts: M_r `(ranks,)`."""
        norm, gamma = self.norm, self.norm.gamma
        dx, dgamma, dbeta = F.batch_norm_grad(
            dy, x, gamma, mean, inv_std, False, norm.bias.value, norm.activation
        )
        own = np.stack([dbeta, dgamma]).astype(np.float64)
        of_beta, of_gamma = self._shared(own, counts).astype(x.dtype)
        dx -= (gamma * inv_std) * (of_beta + ((x - mean) * inv_std) * of_gamma)
        return dx, dgamma, dbeta

    def _shared(self, own: Array, counts: Array) -> Array:
        """`sum_r w_r own_r / (M w)` of each rank's numbers `(2, C)`, float64."""
        weights = (counts / counts[self._team.rank])[:, None, None]
        return (weights * self._team.gather_numbers(own)).sum(axis=0) / counts.sum()
