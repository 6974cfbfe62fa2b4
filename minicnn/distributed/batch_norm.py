"""Batch norm with the statistics of the images of all processes."""

import copy
from typing import Any

import numpy as np

from ..data.loader import Loader
from ..device import model_device
from ..errors import TrainingError
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from ..layers import BatchNorm2d, Layer
from ..layers.tree import Tree
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
        counts, means, squares = self._moments(x)
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

    def _moments(self, x: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of all ranks: the values per channel `(ranks, 1)`, means and squares `(ranks, C)`."""
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes, dtype=np.float64)
        squares = ((x - mean) ** 2).sum(axis=axes)
        own = np.concatenate([[x.size // x.shape[-1]], mean, squares])
        every = self._team.gather_numbers(own)
        return every[:, :1], every[:, 1 : 1 + len(mean)], every[:, 1 + len(mean) :]

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        norm = self.norm
        if not norm.training:
            return norm.backward(dy, need_dx=need_dx)
        x, mean, inv_std, counts = self.pop_saved()
        gamma, beta = norm.gamma, norm.bias.value
        dx, dgamma, dbeta = F.batch_norm_grad(
            dy, x, gamma, mean, inv_std, False, beta, norm.activation
        )
        own = np.concatenate([dbeta, dgamma]).astype(np.float64)
        weights = counts / counts[self._team.rank]
        sums = (weights[:, None] * self._team.gather_numbers(own)).sum(axis=0) / counts.sum()
        of_beta, of_gamma = sums.astype(x.dtype).reshape(2, -1)
        dx -= (gamma * inv_std) * (of_beta + ((x - mean) * inv_std) * of_gamma)
        if norm.weight is not None:
            norm.weight.add_grad(dgamma, copy=False)
        norm.bias.add_grad(dbeta, copy=False)
        return dx


def synchronized(model: Any, team: Ranks) -> Any:
    """A network of the same layers, with every batch norm synchronized."""
    if isinstance(model, BatchNorm2d):
        return SyncBatchNorm(model, team)
    if not any(isinstance(layer, BatchNorm2d) for _, layer in model.named_layers()):
        return model
    twin = copy.copy(model)
    for name, value in vars(model).items():
        if isinstance(value, Tree):
            vars(twin)[name] = synchronized(value, team)
        elif isinstance(value, dict):
            vars(twin)[name] = {key: _synchronized(item, team) for key, item in value.items()}
        elif isinstance(value, (list, tuple)):
            vars(twin)[name] = type(value)(_synchronized(item, team) for item in value)
    return twin


def _synchronized(item: Any, team: Ranks) -> Any:
    return synchronized(item, team) if isinstance(item, Tree) else item


def check_sync(model: Layer, loader: Loader) -> None:
    """Raise ValueError on a GPU, where a captured step cannot wait for other processes.

    Raise TrainingError if some process has no images in some step, and so no statistics.
    """
    if model_device(model) != "cpu":
        raise ValueError(
            "sync_bn: batch norm is synchronized on the CPU only; the model is on a GPU"
        )
    for turn in loader.shards.turns(0, loader.images):
        if len(turn.sizes) < loader.shards.ranks or 0 in turn.sizes:
            images = sum(turn.sizes)
            raise TrainingError(
                f"sync_bn: some updates have {images} images at a time for {loader.shards.ranks} "
                "processes, and each of them needs one: choose another batch_size, accumulate or "
                "number of processes"
            )
