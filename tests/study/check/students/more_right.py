"""Right solutions of what later courses add: activations, groups, transposes, global pooling."""

import math

import numpy as np


def leaky_relu_forward(x, alpha):
    return np.where(x > 0, x, alpha * x), (x, alpha)


def leaky_relu_backward(dout, cache):
    x, alpha = cache
    dx = dout.copy()
    dx[x <= 0] *= alpha
    return dx


def lrelu_forward(x):
    return np.maximum(x, 0.2 * x), x


def lrelu_backward(dout, cache):
    return np.where(cache > 0, dout, 0.2 * dout)


def elu_forward(x, alpha=1.0):
    out = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return out, (x, out, alpha)


def elu_backward(dout, cache):
    x, out, alpha = cache
    return dout * np.where(x > 0, 1, out + alpha)


def gelu_forward(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))
    return x * cdf, (x, cdf)


def gelu_backward(dout, cache):
    x, cdf = cache
    return dout * (cdf + x * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))


def my_gelu_forward(x):
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def my_gelu_backward(dout, cache):
    x, t = cache
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


def swish_forward(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def swish_backward(dout, cache):
    x, s = cache
    return dout * (s + x * s * (1 - s))


def hard_swish_forward(x):
    return x * np.clip(x + 3, 0, 6) / 6, x


def hard_swish_backward(dout, cache):
    slope = np.where(cache < -3, 0, np.where(cache > 3, 1, (2 * cache + 3) / 6))
    return dout * slope


def relu6_forward(x):
    return np.minimum(np.maximum(0, x), 6), x


def relu6_backward(dout, cache):
    return dout * ((cache > 0) & (cache < 6))


def sigmoid_forward(x):
    out = 1 / (1 + np.exp(-x))
    return out, out


def sigmoid_backward(dout, cache):
    return dout * cache * (1 - cache)


def tanh_forward(x):
    out = np.tanh(x)
    return out, out


def tanh_backward(dout, cache):
    return dout * (1 - cache**2)


def prelu_forward(x, a):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return np.where(x > 0, x, a.reshape(shape) * x), (x, a.reshape(shape))


def prelu_backward(dout, cache):
    x, a = cache
    axes = tuple(i for i in range(x.ndim) if i != 1)
    return np.where(x > 0, dout, a * dout), (dout * np.minimum(x, 0)).sum(axis=axes)


def group_conv_forward(x, w, b, conv_param):
    stride, pad, G = conv_param["stride"], conv_param["pad"], conv_param["groups"]
    N, C, H, W = x.shape
    F, Cg, HH, WW = w.shape
    Fg = F // G
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride))
    for f in range(F):
        g = f // Fg
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                hs, ws = i * stride, j * stride
                window = xp[:, g * Cg : (g + 1) * Cg, hs : hs + HH, ws : ws + WW]
                out[:, f, i, j] = np.sum(window * w[f], axis=(1, 2, 3)) + b[f]
    return out, (xp, w, conv_param)


def group_conv_backward(dout, cache):
    xp, w, conv_param = cache
    stride, pad, G = conv_param["stride"], conv_param["pad"], conv_param["groups"]
    F, Cg, HH, WW = w.shape
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for f in range(F):
        g = f // (F // G)
        channels = slice(g * Cg, (g + 1) * Cg)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                rows = slice(i * stride, i * stride + HH)
                cols = slice(j * stride, j * stride + WW)
                d = dout[:, f, i, j][:, None, None, None]
                dw[f] += np.sum(d * xp[:, channels, rows, cols], axis=0)
                dxp[:, channels, rows, cols] += d * w[f]
    dx = dxp[:, :, pad : dxp.shape[2] - pad, pad : dxp.shape[3] - pad]
    return dx, dw, dout.sum(axis=(0, 2, 3))


def depthwise_conv_forward(x, w, b, conv_param):
    """w has the shape (C, HH, WW)."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    C, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    views = np.lib.stride_tricks.sliding_window_view(xp, (HH, WW), axis=(2, 3))
    views = views[:, :, ::stride, ::stride]
    out = np.einsum("nchwij,cij->nchw", views, w) + b.reshape(1, C, 1, 1)
    return out, (xp.shape, views, w, conv_param)


def depthwise_conv_backward(dout, cache):
    shape, views, w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    dxp, (C, HH, WW) = np.zeros(shape), w.shape
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            dxp[:, :, rows, cols] += dout[:, :, i, j][:, :, None, None] * w
    dw = np.einsum("nchwij,nchw->cij", views, dout)
    dx = dxp[:, :, pad : shape[2] - pad, pad : shape[3] - pad]
    return dx, dw, dout.sum(axis=(0, 2, 3))


def conv_transpose_forward(x, w, b, conv_param):
    """w has the shape (C, F, HH, WW)."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    _, F, HH, WW = w.shape
    full = np.zeros((N, F, (H - 1) * stride + HH, (W - 1) * stride + WW))
    for i in range(H):
        for j in range(W):
            patch = np.einsum("nc,cfij->nfij", x[:, :, i, j], w)
            full[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += patch
    out = full[:, :, pad : full.shape[2] - pad, pad : full.shape[3] - pad]
    return out + b[None, :, None, None], (x, w, conv_param)


def conv_transpose_backward(dout, cache):
    x, w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    HH, WW = w.shape[2:]
    padded = np.pad(dout, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            hs, ws = i * stride, j * stride
            window = padded[:, :, hs : hs + HH, ws : ws + WW]
            dx[:, :, i, j] = np.einsum("nfij,cfij->nc", window, w)
            dw += np.einsum("nc,nfij->cfij", x[:, :, i, j], window)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def global_avg_pool_forward(x):
    return x.mean(axis=(2, 3)), x.shape


def global_avg_pool_backward(dout, cache):
    N, C, H, W = cache
    return np.ones(cache) * dout[:, :, None, None] / (H * W)


def gap_forward(x):
    return x.mean(axis=(2, 3), keepdims=True), x.shape


def gap_backward(dout, cache):
    return np.broadcast_to(dout / (cache[2] * cache[3]), cache).copy()


def upsample_forward(x, scale):
    return x.repeat(scale, axis=2).repeat(scale, axis=3), (x.shape, scale)


def upsample_backward(dout, cache):
    (N, C, H, W), s = cache
    return dout.reshape(N, C, H, s, W, s).sum(axis=(3, 5))


def adaptive_windows(size, count):
    """(start, stop) of each window."""
    return [(i * size // count, ((i + 1) * size + count - 1) // count) for i in range(count)]


def adaptive_avg_pool_forward(x, output_size):
    h_out, w_out = output_size
    out = np.zeros((*x.shape[:2], h_out, w_out))
    for i, (top, bottom) in enumerate(adaptive_windows(x.shape[2], h_out)):
        for j, (left, right) in enumerate(adaptive_windows(x.shape[3], w_out)):
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return out, x.shape


def adaptive_avg_pool_backward(dout, cache):
    dx = np.zeros(cache)
    for i, (top, bottom) in enumerate(adaptive_windows(cache[2], dout.shape[2])):
        for j, (left, right) in enumerate(adaptive_windows(cache[3], dout.shape[3])):
            area = (bottom - top) * (right - left)
            dx[:, :, top:bottom, left:right] += dout[:, :, i : i + 1, j : j + 1] / area
    return dx


def adaptive_max_pool_forward(x, output_size):
    h_out, w_out = output_size
    out, places = np.zeros((*x.shape[:2], h_out, w_out)), {}
    for i, (top, bottom) in enumerate(adaptive_windows(x.shape[2], h_out)):
        for j, (left, right) in enumerate(adaptive_windows(x.shape[3], w_out)):
            window = x[:, :, top:bottom, left:right].reshape(*x.shape[:2], -1)
            out[:, :, i, j] = window.max(axis=2)
            row, column = np.divmod(window.argmax(axis=2), right - left)
            places[i, j] = top + row, left + column
    return out, (x.shape, places)


def adaptive_max_pool_backward(dout, cache):
    shape, places = cache
    dx = np.zeros(shape)
    n, c = np.ogrid[: shape[0], : shape[1]]
    for (i, j), (row, column) in places.items():
        dx[n, c, row, column] += dout[:, :, i, j]
    return dx


def bilinear_sources(size, scale):
    """The two pixels that each output reads, and the weight of the second."""
    h = np.maximum((np.arange(size * scale) + 0.5) / scale - 0.5, 0)
    low = np.floor(h).astype(int)
    return low, np.minimum(low + 1, size - 1), h - low


def upsample_bilinear_forward(x, scale):
    top, bottom, f = bilinear_sources(x.shape[2], scale)
    left, right, g = bilinear_sources(x.shape[3], scale)
    rows = x[:, :, top] * (1 - f)[:, None] + x[:, :, bottom] * f[:, None]
    return rows[..., left] * (1 - g) + rows[..., right] * g, (x.shape, scale)


def upsample_bilinear_backward(dout, cache):
    shape, scale = cache
    top, bottom, f = bilinear_sources(shape[2], scale)
    left, right, g = bilinear_sources(shape[3], scale)
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dx[:, :, top[i], left[j]] += (1 - f[i]) * (1 - g[j]) * d
            dx[:, :, top[i], right[j]] += (1 - f[i]) * g[j] * d
            dx[:, :, bottom[i], left[j]] += f[i] * (1 - g[j]) * d
            dx[:, :, bottom[i], right[j]] += f[i] * g[j] * d
    return dx
