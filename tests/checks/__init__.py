"""Every operation against torch: forward and every gradient, with random upstream gradients.

`CHECKS` has two functions per operation. The first, given a type, is a hypothesis strategy of
cases: dicts with a geometry that is awkward on purpose (odd sizes, batch 1, single channels,
asymmetric padding, strided arrays) and a seed. The second takes the operations to test (a backend,
or a deliberately broken copy of one) and a case, and raises AssertionError if the operations
disagree with torch.
"""

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from minicnn.kernels import dispatch, functional, reference

from . import activation, conv, fused, linear, loss, norm, pool, resample, transposed
from .common import DTYPES, images

CHECKS = {
    "conv2d": (conv.cases, conv.check_conv2d),
    "conv2d_affine": (conv.cases, fused.check_conv2d_affine),
    "conv2d_grad_input_relu": (conv.cases, fused.check_conv2d_grad_input_relu),
    "conv2d_grad_input_add": (conv.cases, fused.check_conv2d_grad_input_add),
    "fold_batch_norm": (conv.cases, fused.check_fold_batch_norm),
    "conv_transpose2d": (transposed.cases, transposed.check_conv_transpose2d),
    "resample2d": (resample.cases, resample.check_resample2d),
    "max_pool2d": (pool.max_pool_cases, pool.check_max_pool2d),
    "avg_pool2d": (pool.avg_pool_cases, pool.check_avg_pool2d),
    "global_avg_pool2d": (images, pool.check_global_avg_pool2d),
    "adaptive_max_pool2d": (pool.adaptive_cases, pool.check_adaptive_max_pool2d),
    "subsample2d": (pool.subsample_cases, pool.check_subsample2d),
    "local_response_norm": (norm.lrn_cases, norm.check_local_response_norm),
    "batch_norm": (norm.batch_norm_cases, norm.check_batch_norm),
    "batch_norm_add": (norm.batch_norm_cases, fused.check_batch_norm_add),
    "group_norm": (norm.group_norm_cases, norm.check_group_norm),
    "layer_norm": (norm.group_norm_cases, norm.check_layer_norm),
    "linear": (linear.linear_cases, linear.check_linear),
    "rbf": (linear.rbf_cases, linear.check_rbf),
    "activation": (activation.cases, activation.check_activation),
    "prelu": (activation.prelu_cases, activation.check_prelu),
    "softmax": (images, loss.check_softmax),
    "softmax_cross_entropy": (loss.cross_entropy_cases, loss.check_softmax_cross_entropy),
    "binary_cross_entropy": (loss.element_cases, loss.check_binary_cross_entropy),
    "mean_squared_error": (loss.element_cases, loss.check_mean_squared_error),
    "map_loss": (loss.map_loss_cases, loss.check_map_loss),
}
BACKENDS = [name for name in dispatch.BACKENDS if isinstance(dispatch.load(name), ModuleType)]


class Through:
    """The dispatcher with a backend chosen, as users call it."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, operation):
        def call(*args, **kwargs):
            with dispatch.use(self.backend):
                return getattr(functional, operation)(*args, **kwargs)

        return call


def over_backends(*operations):
    """Run a test for each of `operations`, on every backend of this machine, in both types."""

    def parametrize(test):
        test = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)(test)
        test = pytest.mark.parametrize("operation", operations)(test)
        return pytest.mark.parametrize("backend", BACKENDS)(test)

    return parametrize


def check_random_cases(ops, operation, dtype, count=200):
    """Compare `ops` with torch in so many random cases."""
    cases, check = CHECKS[operation]

    @settings(max_examples=count)
    @given(cases(dtype))
    def run(case):
        check(ops, case)

    run()


def broken(**functions):
    """The reference backend with some of its operations replaced."""
    return SimpleNamespace(
        **{name: getattr(reference, name) for name in functional.OPERATIONS} | functions
    )


def assert_caught(operation, ops):
    """The comparison of `operation` with torch fails for `ops`, which have a mistake."""
    cases, check = CHECKS[operation]

    @settings(
        suppress_health_check=list(HealthCheck), phases=["generate"], report_multiple_bugs=False
    )
    @given(cases(np.float64))
    def run(case):
        check(ops, case)

    with pytest.raises(AssertionError):
        run()
