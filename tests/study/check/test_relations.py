"""Mistakes that no catalogue lists: relations to the right numbers, and clues without one."""

import numpy as np

from minicnn import study


def says(check):
    """Result -> what the check says of it."""
    return {result: finding.says for finding in check.findings for result in finding.results}


def relu_forward(x):
    return np.maximum(x, 0), x


def tanh_forward(x):
    return np.tanh(x), np.tanh(x)


def avg_pool_forward(x, kernel_size, stride):
    kh, kw = kernel_size
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
    return windows[:, ::stride, ::stride].mean(axis=(4, 5)), (x.shape, kh, kw, stride)


def avg_pool_backward(divisor, assign, dy, cache):
    shape, kh, kw, s = cache
    dx = np.zeros(shape)
    for p, q in np.ndindex(*dy.shape[1:3]):
        window = dx[:, p * s : p * s + kh, q * s : q * s + kw]
        share = dy[:, p, q][:, None, None] / divisor(kh, kw)
        window[...] = share if assign else window + share
    return dx


def test_a_form_of_the_catalogue_with_a_factor():
    def backward(dout, cache):
        return avg_pool_backward(lambda kh, kw: 1, True, dout, cache)

    found = says(study.check(avg_pool_forward, backward))
    assert found["dx"].startswith("`=` where `+=` is needed")
    assert found["dx"].endswith("and it is multiplied by kH * kW, the size of the window")


def test_a_divisor_with_a_meaning():
    def backward(dout, cache):
        return avg_pool_backward(lambda kh, kw: kh * kh, False, dout, cache)

    expected = "it is divided by kH squared, where kH * kW, the size of the window, is needed"
    assert says(study.check(avg_pool_forward, backward)) == {"dx": expected}


def test_a_loop_that_ends_too_early():
    def forward(x, kernel_size, stride):
        y, cache = avg_pool_forward(x, kernel_size, stride)
        y[:, :, -1] = 0
        return y, cache

    found = says(study.check(forward, operation="avg_pool2d"))
    assert found["y"].startswith("it is right but for the last column, where it is 0")


def test_the_formula_that_was_computed():
    def backward(dout, t):
        return dout * (1 - t) * t * 2

    found = says(study.check(tanh_forward, backward, operation="tanh"))
    assert found == {"dx": "it is dout * (2 * y * (1 - y))"}


def test_an_input_whose_first_channel_stands_for_all():
    def depthwise_conv_forward(x, w, b):
        windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:], axis=(2, 3))
        return (windows * w[0]).sum(axis=(4, 5)) + b[:, None, None]

    found = says(study.check(depthwise_conv_forward))
    assert found == {"y": "the first channel of w is used for all"}


def test_a_loss_with_one_wrong_geometry_has_no_constant_factor():
    def softmax_loss(x, y):
        rows = np.arange(len(x))
        p = np.exp(x - x.max(axis=1, keepdims=True)) / np.exp(x).sum(axis=1, keepdims=True)
        dx = p.copy()
        dx[rows, y] -= 1
        return -np.log(p[rows, y]).mean(), dx / len(x)

    assert says(study.check(softmax_loss)) == dict.fromkeys(
        ("loss", "dx"), "the maximum is subtracted in the numerator only"
    )


def test_where_it_is_wrong_if_nothing_fits():
    def backward(dout, x):
        return dout * (x > 0) * np.where(x < 2, 1, np.cos(7 * x))

    check = study.check(relu_forward, backward, operation="relu")
    assert not check.findings
    assert "dx is wrong only where x is positive." in check.clues


def test_an_axis_is_called_by_its_own_name_in_every_layout():
    def conv_forward(x, w, b):
        views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
        kept = w.copy()
        kept[:, :, 0] = 0
        return np.einsum("nchwij,fcij->nfhw", views, kept) + b[:, None, None]

    assert says(study.check(conv_forward)) == {"y": "the first row of the kernel of w is left out"}


def test_rows_that_are_alike_by_accident_are_no_order():
    def svm_loss(x, y):
        rows = np.arange(len(x))
        margins = np.maximum(0, x - np.abs(x).sum() + 1 + x[rows, y][:, None])
        margins[rows, y] = 0
        dx = (margins > 0) * 1.0
        dx[rows, y] = -dx.sum(axis=1)
        return margins.sum() / len(x), dx / len(x)

    assert not any("order" in text for text in says(study.check(svm_loss)).values())


def test_an_uncertain_order_of_the_axes_is_said():
    def lrn_forward(x, size, alpha, beta, k):
        """For (N, H, W, C), with neighbors that wrap around."""
        total = sum(np.roll(x * x, d - size // 2, axis=3) for d in range(size))
        return x / (k + alpha * total) ** beta

    check = study.check(lrn_forward)
    text = " ".join([*says(check).values(), *check.remarks])
    assert "the neighbors beyond the first channel are the last ones" in text


def test_a_gradient_of_relu6_above_6_is_wrong():
    def relu6_forward(x):
        return np.clip(x, 0, 6), x

    def relu6_backward(dout, cache):
        return dout * (cache > 0)

    assert says(study.check(relu6_forward, relu6_backward)) == {"dx": "it is the gradient of ReLU"}
