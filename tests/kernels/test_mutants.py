"""Can the checks fail? Each deliberately broken kernel here must be caught by the check that guards it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minicnn.kernels import functional, reference
from minicnn.kernels.geometry import pool_window
from minicnn.kernels.reference import norm, pool
from minicnn.layers import Conv2d

from .. import checks, strategies
from ..layers.test_layers import check_accumulation


def broken(**functions):
    """The reference backend with some of its operations replaced."""
    return SimpleNamespace(
        **{name: getattr(reference, name) for name in functional.OPERATIONS} | functions
    )


def transposed_dy(dy, *args, **kwargs):
    """Rows and columns of dy confused; visible wherever the image is square (otherwise shapes would give it away)."""
    if dy.shape[1] == dy.shape[2]:
        dy = dy.transpose(0, 2, 1, 3)
    return reference.conv2d_grad_input(dy, *args, **kwargs)


def transposed_dy_in_dw(dy, *args, **kwargs):
    if dy.shape[1] == dy.shape[2]:
        dy = dy.transpose(0, 2, 1, 3)
    return reference.conv2d_grad_weight(dy, *args, **kwargs)


def flipped_kernel(dy, w, *args, **kwargs):
    return reference.conv2d_grad_input(dy, w[::-1, ::-1], *args, **kwargs)


def forgotten_group(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, **kwargs):
    if groups > 1:  # every group reads the first group's channels
        x = np.concatenate([x[..., : x.shape[3] // groups]] * groups, axis=3)
    return reference.conv2d(x, w, b, stride, padding, dilation, groups, **kwargs)


def zero_padded_max(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    cells = pool.windows(x, geometry, fill=0)
    cells = cells.reshape(*cells.shape[:3], -1, x.shape[3])
    return cells.max(axis=3), cells.argmax(axis=3)


def last_of_equals(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    y, _ = reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode)
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    cells = pool.windows(x, geometry, fill=-np.inf)
    cells = cells.reshape(*cells.shape[:3], -1, x.shape[3])
    return y, cells.shape[3] - 1 - cells[:, :, :, ::-1].argmax(axis=3)


def assigned_max_grad(dy, argmax, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False):
    """Overlapping windows overwrite each other's gradient instead of adding."""
    geometry = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    (top, bottom), (left, right) = geometry.reach
    dx = np.zeros(
        (x_shape[0], x_shape[1] + top + bottom, x_shape[2] + left + right, x_shape[3]), dy.dtype
    )
    for p, q in np.ndindex(*geometry.output):
        for n, c in np.ndindex(x_shape[0], x_shape[3]):
            i, j = divmod(int(argmax[n, p, q, c]), geometry.kernel[1])
            dx[n, p * geometry.stride[0] + i, q * geometry.stride[1] + j, c] = dy[n, p, q, c]
    return dx[:, top : top + x_shape[1], left : left + x_shape[2]]


def area_divisor(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, out=None
):
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    return pool.windows(x, geometry).mean(axis=(3, 4))


def lrn_window_off_by_one(x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, out=None):
    c = alpha / size if alpha_div_n else alpha
    scale = k + c * norm._sum_over_neighbors(x * x, size // 2, max(0, (size - 1) // 2 - 1))
    return x * scale**-beta, scale


def lrn_without_cross_terms(dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False):
    return dy * scale**-beta


def added_too_late(x, other, *args, activation=None, **kwargs):
    y, *rest = reference.batch_norm(x, *args, activation=activation, **kwargs)
    return (y + other, *rest)


def shift_before_scale(x, w, scale, shift, *args, **kwargs):
    return reference.conv2d_affine(x, w, scale, scale * shift, *args, **kwargs)


def mask_of_the_gradient(dy, w, x, **geometry):
    dx = reference.conv2d_grad_input(dy, w, x.shape, **geometry)
    return dx * (dx > 0)


def variance_without_root(b, gamma, beta, mean, var, eps):
    return reference.fold_batch_norm(b, gamma, beta, mean, (var + eps) ** 2, 0.0)


def biased_running_var(x, gamma, beta, mean, var, training=True, momentum=0.1, eps=1e-5, **options):
    before = var.copy()
    result = reference.batch_norm(x, gamma, beta, mean, var, training, momentum, eps, **options)
    if training:
        var[...] = before + momentum * (x.var(axis=(0, 1, 2)) - before)
    return result


def frozen_statistics(dy, x, gamma, mean, inv_std, training=True, *activation):
    return reference.batch_norm_grad(dy, x, gamma, mean, inv_std, False, *activation)


def summed_not_averaged(logits, labels):
    loss, dlogits = reference.softmax_cross_entropy(logits, labels)
    return loss, dlogits * len(labels)


def relu_from_input_sign(dy, y, activation=None):
    return reference.activation_grad(dy, y, activation) if activation != "relu" else dy


MUTANTS = {
    "conv2d dy transposed": ("conv2d", broken(conv2d_grad_input=transposed_dy)),
    "conv2d dy transposed in dw": ("conv2d", broken(conv2d_grad_weight=transposed_dy_in_dw)),
    "conv2d kernel flipped in dx": ("conv2d", broken(conv2d_grad_input=flipped_kernel)),
    "conv2d groups forgotten": ("conv2d", broken(conv2d=forgotten_group)),
    "max pool padded by zeros": ("max_pool2d", broken(max_pool2d=zero_padded_max)),
    "max pool gradient assigned": ("max_pool2d", broken(max_pool2d_grad=assigned_max_grad)),
    "average pool divides by the area": ("avg_pool2d", broken(avg_pool2d=area_divisor)),
    "LRN window off by one": (
        "local_response_norm",
        broken(local_response_norm=lrn_window_off_by_one),
    ),
    "LRN without cross terms": (
        "local_response_norm",
        broken(local_response_norm_grad=lrn_without_cross_terms),
    ),
    "batch norm running variance biased": ("batch_norm", broken(batch_norm=biased_running_var)),
    "batch norm adds after the activation": (
        "batch_norm_add",
        broken(batch_norm_add=added_too_late),
    ),
    "shift before scale": ("conv2d_affine", broken(conv2d_affine=shift_before_scale)),
    "mask of the wrong array": (
        "conv2d_grad_input_relu",
        broken(conv2d_grad_input_relu=mask_of_the_gradient),
    ),
    "variance without its root": (
        "fold_batch_norm",
        broken(fold_batch_norm=variance_without_root),
    ),
    "batch norm statistics frozen": ("batch_norm", broken(batch_norm_grad=frozen_statistics)),
    "cross-entropy gradient not averaged": (
        "softmax_cross_entropy",
        broken(softmax_cross_entropy=summed_not_averaged),
    ),
    "ReLU gradient without its mask": ("activation", broken(activation_grad=relu_from_input_sign)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    operation, ops = MUTANTS[name]
    check = getattr(checks, f"check_{operation}")

    @settings(
        max_examples=200,
        suppress_health_check=list(HealthCheck),
        phases=["generate"],
        report_multiple_bugs=False,
    )
    @given(strategies.NAMES[operation](np.float64))
    def run(case):
        check(ops, case)

    with pytest.raises(AssertionError):
        run()


def test_the_wrong_tie_is_caught():
    """Only an input with ties can tell; `test_ties_go_to_the_first` has them."""
    case = {
        "dtype": np.float64,
        "seed": 0,
        "n": 1,
        "h": 4,
        "w": 4,
        "c": 1,
        "kernel": (2, 2),
        "stride": (2, 2),
    }
    case |= {"padding": ((0, 0), (0, 0)), "ceil_mode": False, "negative": False}
    original = checks.spaced
    checks.spaced = lambda case, shape: np.zeros(shape)
    try:
        checks.check_max_pool2d(reference, case)
        with pytest.raises(AssertionError):
            checks.check_max_pool2d(broken(max_pool2d=last_of_equals), case)
    finally:
        checks.spaced = original


def test_missing_accumulation_is_caught():
    """A layer that assigns its gradient instead of adding it."""

    class Assigning(Conv2d):
        def backward(self, dy, need_dx=True):
            self.weight.zero_grad()
            return super().backward(dy, need_dx)

    check_accumulation(Conv2d(2, 3, 3), (2, 5, 5, 2))
    with pytest.raises(AssertionError):
        check_accumulation(Assigning(2, 3, 3), (2, 5, 5, 2))


def test_checks_do_pass():
    """The unbroken copy passes, so that what the mutants trip over is their fault."""

    @settings(max_examples=5)
    @given(st.data())
    def run(data):
        for operation, strategy in strategies.NAMES.items():
            getattr(checks, f"check_{operation}")(broken(), data.draw(strategy(np.float64)))

    run()
