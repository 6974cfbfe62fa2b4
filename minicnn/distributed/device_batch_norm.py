"""Synchronized batch norm on GPUs: the passes over images are the kernels of `batch_norm`."""

import numpy as np

from ..device import runtime
from ..kernels.cuda import norm as kernels
from ..kernels.types import Array
from .batch_norm import SyncBatchNorm


class DeviceSyncBatchNorm(SyncBatchNorm):
    """As `SyncBatchNorm`. Its numbers stay on the GPUs, which exchange them."""

    def _moments(self, x: Array) -> Array:
        c, count = x.shape[-1], x.size // x.shape[-1]
        mean, var = (runtime().upload(np.zeros(c, np.float32)) for _ in range(2))
        kernels.batch_statistics(x, mean, var, True, 1.0, self.norm.eps)  # momentum 1: the batch's
        moments = runtime().empty((1 + 2 * c,), np.float64)
        moments[0], moments[1 : 1 + c], moments[1 + c :] = count, mean, var
        moments[1 + c :] *= count - 1  # the running variance is S / (M - 1)
        return moments

    def _gradients(
        self, dy: Array, x: Array, mean: Array, inv_std: Array, counts: Array
    ) -> tuple[Array, Array, Array]:
        parameters = mean, inv_std, self.norm.gamma, self.norm.bias.value
        dy, x, given, f = kernels.before_sums(dy, x, parameters, self.norm.activation)
        dgamma, dbeta = kernels.gradient_sums(dy, x, given, f)
        own = runtime().empty((2, x.shape[-1]), np.float64)
        own[0], own[1] = dbeta, dgamma
        of_beta, of_gamma = self._shared(own, counts).astype(np.float32)
        dx = kernels.normalize_grad(dy, x, given, f, of_gamma, of_beta, 1.0)
        return dx, dgamma, dbeta
