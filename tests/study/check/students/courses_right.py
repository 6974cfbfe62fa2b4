"""Right solutions in the styles of further courses: taps, tensors of torch, layers of minicnn."""

import numpy as np
import torch

from minicnn.layers import Layer, Parameter

# -- convolution -----------------------------------------------------------------------------------


def conv_forward_fast(x, w, b, conv_param):
    """One matrix product per cell of the kernel."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out = (H + 2 * pad - HH) // stride + 1
    W_out = (W + 2 * pad - WW) // stride + 1
    x_pad = np.zeros((N, C, H + 2 * pad, W + 2 * pad))
    x_pad[:, :, pad : pad + H, pad : pad + W] = x
    out = np.zeros((N, F, H_out, W_out))
    for i in range(HH):
        for j in range(WW):
            tap = x_pad[:, :, i : i + stride * H_out : stride, j : j + stride * W_out : stride]
            tap = tap[:, :, :H_out, :W_out]
            out += np.einsum("nchw,fc->nfhw", tap, w[:, :, i, j])
    out += b[None, :, None, None]
    return out, (x_pad, w, conv_param, x.shape)


def conv_backward_fast(dout, cache):
    x_pad, w, conv_param, (N, C, H, W) = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, _, HH, WW = w.shape
    H_out, W_out = dout.shape[2:]
    dx_pad, dw = np.zeros_like(x_pad), np.zeros_like(w)
    for i in range(HH):
        for j in range(WW):
            rows = slice(i, i + stride * (H_out - 1) + 1, stride)
            cols = slice(j, j + stride * (W_out - 1) + 1, stride)
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, x_pad[:, :, rows, cols])
            dx_pad[:, :, rows, cols] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
    db = dout.reshape(N, F, -1).sum(axis=2).sum(axis=0)
    return dx_pad[:, :, pad : pad + H, pad : pad + W], dw, db


class Conv:
    @staticmethod
    def forward(x, w, b, conv_param):
        stride, pad = conv_param["stride"], conv_param["pad"]
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        H_out = 1 + (H + 2 * pad - HH) // stride
        W_out = 1 + (W + 2 * pad - WW) // stride
        x_pad = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        out = torch.zeros((N, F, H_out, W_out), dtype=x.dtype)
        for i in range(H_out):
            for j in range(W_out):
                window = x_pad[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                for f in range(F):
                    out[:, f, i, j] = (window * w[f]).sum(dim=(1, 2, 3)) + b[f]
        return out, (x, w, b, conv_param)

    @staticmethod
    def backward(dout, cache):
        x, w, b, conv_param = cache
        stride, pad = conv_param["stride"], conv_param["pad"]
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        x_pad = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        dx_pad = torch.zeros_like(x_pad)
        dw = torch.zeros_like(w)
        db = torch.zeros_like(b)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                window = x_pad[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                for f in range(F):
                    g = dout[:, f, i, j].reshape(N, 1, 1, 1)
                    dw[f] += (window * g).sum(dim=0)
                    db[f] += dout[:, f, i, j].sum()
                    dx_pad[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += (
                        w[f] * g
                    )
        return dx_pad[:, :, pad : pad + H, pad : pad + W], dw, db


def depthwise_conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    HH, WW = w.shape[1:]
    H_out, W_out = (H + 2 * pad - HH) // stride + 1, (W + 2 * pad - WW) // stride + 1
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, C, H_out, W_out))
    for c in range(C):
        for i in range(H_out):
            for j in range(W_out):
                window = x_pad[:, c, i * stride : i * stride + HH, j * stride : j * stride + WW]
                out[:, c, i, j] = np.sum(window * w[c], axis=(1, 2)) + b[c]
    return out, (x_pad, w, stride, pad, x.shape)


def depthwise_conv_backward(dout, cache):
    x_pad, w, stride, pad, (N, C, H, W) = cache
    HH, WW = w.shape[1:]
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros(C)
    for c in range(C):
        db[c] = dout[:, c].sum()
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                rows = slice(i * stride, i * stride + HH)
                cols = slice(j * stride, j * stride + WW)
                g = dout[:, c, i, j][:, None, None]
                dw[c] += np.sum(x_pad[:, c, rows, cols] * g, axis=0)
                dx_pad[:, c, rows, cols] += w[c] * g
    return dx_pad[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_transpose_forward(x, w, b, stride, padding):
    N, C, H, W = x.shape
    _, K, HH, WW = w.shape
    full = np.zeros((N, K, (H - 1) * stride + HH, (W - 1) * stride + WW))
    for i in range(H):
        for j in range(W):
            full[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += np.tensordot(
                x[:, :, i, j], w, axes=1
            )
    height, width = full.shape[2] - 2 * padding, full.shape[3] - 2 * padding
    out = full[:, :, padding : padding + height, padding : padding + width]
    return out + b.reshape(1, K, 1, 1), (x, w, stride, padding)


def conv_transpose_backward(dout, cache):
    x, w, stride, padding = cache
    N, C, H, W = x.shape
    HH, WW = w.shape[2:]
    padded = np.pad(dout, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(H):
        for j in range(W):
            window = padded[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
            dx[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3]))
            dw += np.tensordot(x[:, :, i, j], window, axes=([0], [0]))
    return dx, dw, dout.sum(axis=(0, 2, 3))


# -- pooling and upsampling ------------------------------------------------------------------------


def max_pool_forward(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    H_out, W_out = (H - ph) // s + 1, (W - pw) // s + 1
    out, winner = np.zeros((N, C, H_out, W_out)), np.zeros((N, C, H_out, W_out), int)
    for i in range(H_out):
        for j in range(W_out):
            window = x[:, :, i * s : i * s + ph, j * s : j * s + pw].reshape(N, C, -1)
            winner[:, :, i, j] = window.argmax(axis=2)
            out[:, :, i, j] = window.max(axis=2)
    return out, (x.shape, winner, pool_param)


def max_pool_backward(dout, cache):
    shape, winner, pool_param = cache
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(shape)
    n, c = np.indices(shape[:2])
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            row, col = winner[:, :, i, j] // pw, winner[:, :, i, j] % pw
            dx[n, c, i * s + row, j * s + col] += dout[:, :, i, j]
    return dx


class AvgPool:
    @staticmethod
    def forward(x, pool_param):
        ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        N, C, H, W = x.shape
        H_out, W_out = (H - ph) // s + 1, (W - pw) // s + 1
        out = torch.zeros((N, C, H_out, W_out), dtype=x.dtype)
        for i in range(H_out):
            for j in range(W_out):
                out[:, :, i, j] = x[:, :, i * s : i * s + ph, j * s : j * s + pw].mean(dim=(2, 3))
        return out, (x, pool_param)

    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        dx = torch.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                share = dout[:, :, i, j][:, :, None, None] / (ph * pw)
                dx[:, :, i * s : i * s + ph, j * s : j * s + pw] += share
        return dx


def adaptive_avg_pool_forward(x, output_size):
    N, C, H, W = x.shape
    oh, ow = output_size
    out = np.zeros((N, C, oh, ow))
    for i in range(oh):
        for j in range(ow):
            top, bottom = (i * H) // oh, -(-((i + 1) * H) // oh)
            left, right = (j * W) // ow, -(-((j + 1) * W) // ow)
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return out, (x.shape, output_size)


def adaptive_avg_pool_backward(dout, cache):
    (N, C, H, W), (oh, ow) = cache
    dx = np.zeros((N, C, H, W))
    for i in range(oh):
        for j in range(ow):
            top, bottom = (i * H) // oh, -(-((i + 1) * H) // oh)
            left, right = (j * W) // ow, -(-((j + 1) * W) // ow)
            area = (bottom - top) * (right - left)
            dx[:, :, top:bottom, left:right] += dout[:, :, i : i + 1, j : j + 1] / area
    return dx


def upsample_forward(x, scale):
    return x.repeat(scale, axis=2).repeat(scale, axis=3), (x.shape, scale)


def upsample_backward(dout, cache):
    (N, C, H, W), scale = cache
    return dout.reshape(N, C, H, scale, W, scale).sum(axis=(3, 5))


# -- normalization ---------------------------------------------------------------------------------


class BatchNorm:
    @staticmethod
    def forward(x, gamma, beta, bn_param):
        mode, eps = bn_param["mode"], bn_param.get("eps", 1e-5)
        momentum = bn_param.get("momentum", 0.9)
        running_mean, running_var = bn_param["running_mean"], bn_param["running_var"]
        if mode == "train":
            mean = x.mean(dim=0)
            var = ((x - mean) ** 2).mean(dim=0)
            ivar = 1 / torch.sqrt(var + eps)
            xhat = (x - mean) * ivar
            out = gamma * xhat + beta
            bn_param["running_mean"] = momentum * running_mean + (1 - momentum) * mean
            bn_param["running_var"] = momentum * running_var + (1 - momentum) * var
            return out, (xhat, gamma, ivar)
        xhat = (x - running_mean) / torch.sqrt(running_var + eps)
        return gamma * xhat + beta, None

    @staticmethod
    def backward(dout, cache):
        xhat, gamma, ivar = cache
        N = dout.shape[0]
        dgamma = (dout * xhat).sum(dim=0)
        dbeta = dout.sum(dim=0)
        dxhat = dout * gamma
        dx = ivar / N * (N * dxhat - dxhat.sum(dim=0) - xhat * (dxhat * xhat).sum(dim=0))
        return dx, dgamma, dbeta


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    xhat = (x - mu) / np.sqrt(var + eps)
    return gamma * xhat + beta, (xhat, gamma, var, eps)


def layernorm_backward(dout, cache):
    xhat, gamma, var, eps = cache
    D = dout.shape[1]
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    s1 = np.sum(dxhat, axis=1, keepdims=True)
    s2 = np.sum(dxhat * xhat, axis=1, keepdims=True)
    dx = (dxhat - s1 / D - xhat * s2 / D) / np.sqrt(var + eps)
    return dx, dgamma, dbeta


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    rows = x.reshape(N, G, -1)
    mean, var = rows.mean(axis=2, keepdims=True), rows.var(axis=2, keepdims=True)
    xhat = ((rows - mean) / np.sqrt(var + eps)).reshape(N, C, H, W)
    return xhat * gamma + beta, (xhat, gamma, G, var, eps)


def spatial_groupnorm_backward(dout, cache):
    xhat, gamma, G, var, eps = cache
    N, C, H, W = dout.shape
    dgamma = (dout * xhat).sum(axis=(0, 2, 3), keepdims=True)
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    d, h = (dout * gamma).reshape(N, G, -1), xhat.reshape(N, G, -1)
    dx = d - d.mean(axis=2, keepdims=True) - h * (d * h).mean(axis=2, keepdims=True)
    return (dx / np.sqrt(var + eps)).reshape(N, C, H, W), dgamma, dbeta


def lrn_forward(x, size, alpha, beta, k):
    N, C, H, W = x.shape
    half = size // 2
    scale = np.full_like(x, k)
    for c in range(C):
        for d in range(max(0, c - half), min(C, c + half + 1)):
            scale[:, c] += alpha * x[:, d] ** 2
    return x * scale**-beta, (x, scale, size, alpha, beta)


def lrn_backward(dout, cache):
    x, scale, size, alpha, beta = cache
    C, half = x.shape[1], size // 2
    dx = dout * scale**-beta
    for c in range(C):
        for d in range(max(0, c - half), min(C, c + half + 1)):
            dx[:, c] -= 2 * alpha * beta * x[:, c] * (dout * x * scale ** (-beta - 1))[:, d]
    return dx


# -- the rest --------------------------------------------------------------------------------------


class Linear(Layer):
    def __init__(self, in_features, out_features):
        self.weight = Parameter(np.zeros((in_features, out_features)))
        self.bias = Parameter(np.zeros(out_features))

    def forward(self, x):
        self.save_for_backward(x)
        return x @ self.weight.value + self.bias.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.weight.add_grad(x.T @ dy)
        self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.weight.value.T


def elu_forward(x, alpha):
    out = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return out, (x, out, alpha)


def elu_backward(dout, cache):
    x, out, alpha = cache
    return dout * np.where(x > 0, 1, out + alpha)


def gelu_forward(x):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return x / 2 * (1 + np.tanh(u)), x


def gelu_backward(dout, x):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return dout * ((1 + t) / 2 + x / 2 * (1 - t**2) * du)


class Dropout:
    @staticmethod
    def forward(x, dropout_param):
        p, mode = dropout_param["p"], dropout_param["mode"]
        if mode == "test":
            return x, (mode, None)
        mask = (torch.rand(x.shape) >= p).to(x.dtype) / (1 - p)
        return x * mask, (mode, mask)

    @staticmethod
    def backward(dout, cache):
        mode, mask = cache
        return dout * mask if mode == "train" else dout


def softmax_loss(x, y):
    N = len(x)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(N), y].mean()
    dx = np.exp(log_p)
    dx[np.arange(N), y] -= 1
    return loss, dx / N


def svm_loss(x, y):
    N = len(x)
    rows = np.arange(N)
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(float)
    dx[rows, y] = -dx.sum(axis=1)
    return margins.sum() / N, dx / N
