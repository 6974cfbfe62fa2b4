"""`check` for functions and layers at hand: side effects, state, layouts, layers of minicnn."""

import numpy as np
import pytest

from minicnn import layers, study
from minicnn.kernels import reference
from minicnn.layers import Layer, Parameter


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


@pytest.mark.parametrize(
    "kind",
    [
        layers.Conv2d,
        layers.MaxPool2d,
        layers.AvgPool2d,
        layers.AdaptiveAvgPool2d,
        layers.AdaptiveMaxPool2d,
        layers.BatchNorm2d,
        layers.LocalResponseNorm,
        layers.Linear,
        layers.ReLU,
        layers.Dropout,
    ],
)
def test_own_layers_are_right(kind):
    check = study.check(kind)
    assert check.ok, str(check)
    assert check.points == check.possible >= 3


def test_a_layer_stands_for_its_class():
    assert study.check(layers.Conv2d(3, 4, 3, stride=2)).rows[0].total == 10


def test_a_square_window_is_a_number_and_a_pair():
    def max_pool_forward(x, kernel_size, stride):
        kh, kw = kernel_size
        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
        return windows[:, ::stride, ::stride].max(axis=(4, 5))

    check = study.check(max_pool_forward)
    assert check.rows[0].verdict == "right", str(check)


def test_the_second_argument_of_backward_is_the_cache_whatever_its_name():
    def tanh_forward(x):
        t = np.tanh(x)
        return t, t

    def tanh_backward(dout, t):
        return dout * (1 - t * t)

    assert study.check(tanh_forward, tanh_backward).ok


def test_state_of_an_earlier_call():
    kept = []

    def backward(dout, cache):
        return dout * (kept[-1] > 0)

    def forward(x):
        kept.append(x)
        return np.maximum(x, 0), None

    check = study.check(forward, backward, operation="relu")
    assert "it must take what it needs from its own cache" in check.effects[0]
    assert check.points == check.possible - 1

    def counting(x):
        kept.append(x)
        return np.maximum(x, 0) * len(kept), x

    assert "state is kept" in " ".join(
        study.check(counting, relu_backward, operation="relu").effects
    )


def test_a_lowered_type():
    def forward(x):
        return np.maximum(x, 0).astype(np.float32), x

    check = study.check(forward, relu_backward, operation="relu")
    assert check.effects == ["y is float32, although the inputs are float64"]
    assert all(row.verdict == "right" for row in check.rows)


def test_gradients_that_are_set_instead_of_added():
    class Linear(layers.Linear):
        def backward(self, dy, need_dx=True):
            self.weight.zero_grad()
            return super().backward(dy, need_dx)

    check = study.check(Linear)
    assert check.effects == ["the gradient of w is set, not added: use add_grad"]


class ChannelScale(Layer):
    """An operation without a definition."""

    def __init__(self, channels):
        self.scale = Parameter(np.linspace(1, 2, channels))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.scale.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.scale.add_grad((dy * x).sum(axis=(0, 1, 2)))
        return dy * self.scale.value


class Wrong(ChannelScale):
    def backward(self, dy):
        return super().backward(dy) / 2


def test_a_layer_without_a_definition_is_compared_with_differences():
    assert study.check(ChannelScale(4)).ok
    wrong = study.check(Wrong(4))
    assert [(row.result, row.verdict) for row in wrong.rows] == [
        ("dx", "wrong"),
        ("dscale", "right"),
    ]
    assert study.check(ChannelScale(4), x=np.ones((1, 2, 2, 4))).ok


class Conv(Layer):
    """A convolution without a bias."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        shape = (*kernel_size, in_channels, out_channels)
        self.weight = Parameter(np.random.default_rng(0).standard_normal(shape))
        self.stride, self.padding = stride, padding

    def forward(self, x):
        self.save_for_backward(x)
        return reference.conv2d(x, self.weight.value, None, self.stride, self.padding)

    def backward(self, dy):
        (x,) = self.pop_saved()
        w, geometry = self.weight.value, (self.stride, self.padding)
        self.weight.add_grad(reference.conv2d_grad_weight(dy, x, w.shape, *geometry)[0])
        return reference.conv2d_grad_input(dy, w, x.shape, *geometry)


def test_a_layer_without_a_bias_is_right():
    check = study.check(Conv)
    assert check.ok and [row.result for row in check.rows] == ["y", "dx", "dw"], str(check)
    assert check.how == "Conv (a layer of minicnn, NHWC, without b)"

    class Convolution(Conv):
        def backward(self, dy):
            return 2 * super().backward(dy)

    assert [row.verdict for row in study.check(Convolution).rows] == ["right", "wrong", "right"]


def conv_forward(x, w, stride, pad):
    nhwc, hwio = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
    y = reference.conv2d(nhwc, hwio, None, stride, pad)
    return y.transpose(0, 3, 1, 2), (nhwc, hwio, stride, pad)


def conv_backward(dout, cache):
    x, w, *geometry = cache
    dy = dout.transpose(0, 2, 3, 1)
    dx = reference.conv2d_grad_input(dy, w, x.shape, *geometry)
    dw, _ = reference.conv2d_grad_weight(dy, x, w.shape, *geometry)
    return dx.transpose(0, 3, 1, 2), dw.transpose(3, 2, 0, 1)


def test_functions_without_a_bias_are_right():
    check = study.check(conv_forward, conv_backward)
    assert check.ok and check.possible == 4, str(check)
    assert check.how.endswith("(numpy, NCHW, without b)")
    doubled = study.check(conv_forward, lambda dout, cache: conv_backward(2 * dout, cache))
    assert [row.verdict for row in doubled.rows] == ["right", "wrong", "wrong"]


def test_functions_without_padding_and_stride_are_right():
    def only_stride(x, w, b, stride):
        y, cache = conv_forward(x, w, stride, 0)
        return y + b.reshape(-1, 1, 1), cache

    def backward(dout, cache):
        return *conv_backward(dout, cache), dout.sum(axis=(0, 2, 3))

    def neither(x, w, b):
        return only_stride(x, w, b, 1)

    def ignored(x, w, b, conv_param):
        return only_stride(x, w, b, conv_param["stride"])

    for forward, total in ((only_stride, 5), (neither, 3)):
        check = study.check(forward, backward, operation="conv2d")
        assert check.ok and check.rows[0].total == total, str(check)
    assert study.check(ignored, backward, operation="conv2d").rows[0].verdict == "wrong"


def test_an_autograd_function_has_no_test_mode():
    torch = pytest.importorskip("torch")

    class BatchNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, eps):
            inv_std = 1 / torch.sqrt(x.var(0, unbiased=False) + eps)
            normalized = (x - x.mean(0)) * inv_std
            ctx.save_for_backward(normalized, inv_std)
            return normalized

        @staticmethod
        def backward(ctx, dy):
            normalized, inv_std = ctx.saved_tensors
            return inv_std * (dy - dy.mean(0) - normalized * (dy * normalized).mean(0)), None

    check = study.check(BatchNorm)
    assert check.ok and [row.result for row in check.rows] == ["y", "dx"], str(check)


def test_parameters_of_unknown_names_give_no_verdict():
    class Convolution(Layer):
        def __init__(self, in_channels, out_channels, kernel_size):
            self.kernel = Parameter(np.zeros((*kernel_size, in_channels, out_channels)))

    check = study.check(Convolution)
    assert check.error == (
        "Convolution: its parameters are called kernel; expected weight, w, W, bias, b"
    )
    assert not any(row.verdict in ("right", "wrong") for row in check.rows)


def test_the_base_class_does_not_decide_the_operation():
    class Shifted(layers.ReLU):
        def forward(self, x, out=None):
            self.save_for_backward(x)
            return np.maximum(x, -1)

        def backward(self, dy, need_dx=True):
            (x,) = self.pop_saved()
            return dy * (x > -1)

    check = study.check(Shifted)
    assert check.ok and check.title == "a layer of its own", str(check)
    assert not study.check(Shifted, operation="relu").ok


@pytest.mark.parametrize(
    "kind",
    [
        layers.LeakyReLU,
        layers.ELU,
        layers.GELU,
        layers.SiLU,
        layers.HardSwish,
        layers.ReLU6,
        layers.PReLU,
        layers.GroupNorm,
        layers.LayerNorm,
        layers.ConvTranspose2d,
        layers.GlobalAvgPool2d,
        layers.Upsample,
    ],
)
def test_layers_of_minicnn_are_right(kind):
    check = study.check(kind)
    assert check.ok and check.operation, str(check)


class Log(Layer):
    def forward(self, x):
        self.save_for_backward(x)
        return np.log(x)

    def backward(self, dy):
        (x,) = self.pop_saved()
        return dy / x


class NoNumbers(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return np.nan * dy


def test_nan_is_not_right():
    assert study.check(Log()).ok  # at positive numbers
    assert "the output of Log is not finite" in study.check(Log(), x=-np.ones((2, 3))).error
    assert [row.verdict for row in study.check(NoNumbers()).rows] == ["wrong"]


def test_an_exception_of_a_layer_without_a_definition():
    class Broken(Log):
        def backward(self, dy):
            return dy / self.there_is_no_such

    assert study.check(Broken()).error.startswith("AttributeError: ")


@pytest.mark.parametrize(
    ("forward", "given"),
    [
        (lambda self, x: None, "gives NoneType, not an array"),
        (lambda self, x: x * np.nan, "gives NaN or infinity"),
        (lambda self, x: x["a"], "gives IndexError: only integers"),
        (lambda self, x, y: x, "missing 1 required positional argument: 'y'"),
    ],
)
def test_a_layer_that_takes_no_input(forward, given):
    error = study.check(type("Odd", (Log,), {"forward": forward})).error
    assert error.startswith("Odd: no input was found that it takes: (3, 6, 5, 3) gives ")
    assert given in error


def test_any_further_arguments_of_a_constructor():
    class Free(Log):
        def __init__(self, *rest, **more):
            pass

    assert study.check(Free).ok


def test_results_that_are_no_arrays():
    def forward(x):
        return np.maximum(x, 0), x, x > 0

    check = study.check(forward, relu_backward, operation="relu")
    assert "forward returns 3 values; expected two" in check.rows[0].note

    def backward(dout, cache):
        return (dout * (cache > 0), (dout, cache[:1])), None

    rows = study.check(relu_forward, backward).rows
    assert [row.verdict for row in rows] == ["right", "wrong"]


def test_unknown_operations_and_parameters():
    with pytest.raises(ValueError, match="no operation is known by this name; give operation="):
        study.check(lambda x: x, lambda dy: dy)
    with pytest.raises(ValueError, match="operation='convolve' of .*: expected one of conv2d"):
        study.check(lambda x: x, lambda dy: dy, operation="convolve")
    check = study.check(lambda x, magic: x, relu_backward, operation="relu")
    assert "the parameter 'magic' is not known" in check.error


def test_what_is_not_written_yet():
    check = study.check(lambda x: (None, None), lambda dout, cache: None, operation="relu")
    assert check.is_missing
    assert "not written yet" in str(check)


def test_a_backward_that_returns_too_little():
    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w)

    def affine_backward(dout, cache):
        x, w = cache
        return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout

    rows = {r.result: r for r in study.check(affine_forward, affine_backward).rows}
    assert (rows["db"].verdict, rows["db"].note) == ("missing", "backward does not return it")


def test_dropout_that_drops_nothing_is_named_so():
    check = study.check(lambda x, p: x, lambda dout, cache: dout, operation="dropout")
    assert {f.name for f in check.findings} == {"nothing dropped"}, str(check)


def test_an_input_that_is_returned():
    def forward(x, gamma, beta, eps):
        return x, None

    check = study.check(forward, lambda dout, cache: (dout, dout, dout), operation="batch_norm")
    assert check.findings[0].says == "x is returned unchanged", str(check)


def test_the_shape_of_a_loss_is_that_of_a_number():
    check = study.check(lambda x, y: (x, x), operation="softmax_loss")
    assert "instead of () for" in check.rows[0].note
