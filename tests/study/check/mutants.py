"""Mistakes in the words of students: a right solution, a text in it, and what stands there instead.

Each says which results become wrong, and which mistake the check must name. They are written in the
source of the solutions, independently of the catalogue's formulas.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minicnn.study.check.find import find_subjects
from minicnn.study.check.run import check_subject

STUDENTS = Path(__file__).parent / "students"


@dataclass(frozen=True)
class Mutant:
    """One mistake. named: result -> the name of the mistake; effect: a part of a side effect."""

    check: str  # the name under which the operation is checked
    old: str
    new: str
    named: dict[str, str]
    effect: str = ""
    file: str = "cs231n_right"

    def source(self) -> str:
        """The solution with the mistake."""
        text = (STUDENTS / f"{self.file}.py").read_text()
        head, mark, tail = text.partition(f"def {self.start()}")
        assert mark, self.check
        assert self.old in tail, f"{self.old!r} is not in {self.check}"
        return head + mark + tail.replace(self.old, self.new, 1)

    def start(self) -> str:
        """The function from which on `old` is replaced once."""
        return {
            "conv": "conv_forward_naive",
            "pool": "max_pool_forward_naive",
            "bn": "batchnorm_forward",
            "bn_alt": "batchnorm_backward_alt",
            "sbn": "spatial_batchnorm_forward",
            "ln": "layernorm_forward",
            "affine": "affine_forward",
            "relu": "relu_forward",
            "softmax": "softmax_loss",
            "svm": "svm_loss",
            "dropout": "dropout_forward",
            "conv_nhwc": "conv2d_forward",
            "avg": "avg_pool_forward",
            "lrn": "lrn_forward",
        }[self.check]

    def run(self):
        """The check of the mistaken operation."""
        name = {
            "conv": "conv_naive",
            "pool": "max_pool_naive",
            "bn": "batchnorm",
            "bn_alt": "batchnorm_alt",
            "sbn": "spatial_batchnorm",
            "ln": "layernorm",
            "softmax": "softmax_loss",
            "svm": "svm_loss",
            "conv_nhwc": "conv2d",
            "avg": "avg_pool",
        }.get(self.check, self.check)
        path = Path("student.py")
        module = ModuleType("student")
        exec(compile(self.source(), str(path), "exec"), module.__dict__)
        subjects, _ = find_subjects(module, path)
        return check_subject(next(s for s in subjects if s.name == name))

    def is_named(self, check) -> bool:
        """True if exactly the expected mistakes are named."""
        found = {r: f.name for f in check.findings for r in f.results}
        for result, name in self.named.items():
            if name == "unnamed" and any(e.result == result for e in check.examples):
                found.setdefault(result, "unnamed")
        effects = " ".join(check.effects)
        return found == self.named and (self.effect in effects if self.effect else not effects)


SUM_DW = "dw[f] += dout[n, f, i, j] * x_pad[n, :, rows, cols]"
SUM_DX = "dx_pad[n, :, rows, cols] += dout[n, f, i, j] * w[f]"
CROP = "dx = dx_pad[:, :, pad : pad + H, pad : pad + W]"
POOL = "dx[n, c, i * s + a, j * s + b] += dout[n, c, i, j]"
WINDOW = "dx[n, c, i * s : i * s + ph, j * s : j * s + pw]"
AT = "x_pad[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]"
DB = "db = np.sum(dout, axis=(0, 2, 3))"
LINE_ALT = "dx = gamma / (N * std) * (N * dout - dbeta - xhat * dgamma)"

MUTANTS = [
    # convolution, forward
    Mutant("conv", "window * w[f])", "window * w[f][:, ::-1, ::-1])", {"y": "flipped kernel"}),
    Mutant("conv", "np.sum(window * w[f]) + b[f]", "np.sum(window * w[f])", {"y": "no bias"}),
    Mutant(
        "conv",
        "np.sum(window * w[f]) + b[f]",
        "np.sum(window * w[f] + b[f])",
        {"y": "bias per weight"},
    ),
    Mutant("conv", AT, "x_pad[n, :, i : i + HH, j : j + WW]", {"y": "stride ignored"}),
    Mutant(
        "conv",
        "i * stride : i * stride + HH, j * stride : j * stride",
        "i * stride : i * stride + HH, j : j",
        {"y": "stride ignored along the width"},
    ),
    Mutant("conv", 'mode="constant"', 'mode="edge"', {"y": "padding repeats the edge"}),
    Mutant(
        "conv",
        "(pad, pad), (pad, pad)), mode",
        "(0, 2 * pad), (0, 2 * pad)), mode",
        {"y": "padding on one side"},
    ),
    Mutant(
        "conv",
        "= np.sum(window * w[f]) + b[f]",
        "= np.mean(window * w[f]) + b[f]",
        {"y": "mean of the window"},
    ),
    Mutant(
        "conv",
        "    cache = (x, w, b, conv_param)",
        "    out += b[None, :, None, None]\n    cache = (x, w, b, conv_param)",
        {"y": "bias twice"},
    ),
    Mutant(
        "conv",
        "    H_out = 1 + (H + 2 * pad - HH) // stride\n    W_out = 1 + (W + 2 * pad - WW) // stride",
        "    H_out = (H + 2 * pad - HH) // stride\n    W_out = (W + 2 * pad - WW) // stride",
        {"y": "size without + 1"},
    ),
    Mutant(
        "conv",
        "    H_out = 1 + (H + 2 * pad - HH) // stride\n    W_out = 1 + (W + 2 * pad - WW) // stride",
        "    H_out = 1 + (H + pad - HH) // stride\n    W_out = 1 + (W + pad - WW) // stride",
        {"y": "size with one pad"},
    ),
    Mutant(
        "conv",
        "np.sum(window * w[f]) + b[f]",
        "np.sum(window[0] * w[f, 0]) + b[f]",
        {"y": "first channel only"},
    ),
    Mutant(
        "conv",
        "                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]",
        "                    for c in range(C):\n                        out[n, f, i, j] = np.sum(window[c] * w[f, c]) + b[f]",
        {"y": "last channel only"},
    ),
    Mutant(
        "conv",
        "                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]",
        "                    for c in range(C):\n                        out[n, f, i, j] += np.sum(window[c] * w[f, c]) + b[f]",
        {"y": "bias per channel"},
    ),
    Mutant(
        "conv",
        "np.sum(window * w[f])",
        "np.sum(window.sum(axis=0) * w[f])",
        {"y": "channels summed"},
    ),
    # convolution, backward
    Mutant("conv", CROP, "dx = dx_pad[:, :, pad:-pad, pad:-pad]", {"dx": "pad:-pad"}),
    Mutant("conv", CROP, "dx = dx_pad[:, :, 1:-1, 1:-1]", {"dx": "1:-1"}),
    Mutant("conv", CROP, "dx = dx_pad", {"dx": "padding kept"}),
    Mutant("conv", CROP, "dx = dx_pad[:, :, :H, :W]", {"dx": "cut at the end"}),
    Mutant("conv", SUM_DX, SUM_DX.replace("+=", "="), {"dx": "last filter only + assigned dx"}),
    Mutant("conv", SUM_DX, SUM_DX.replace("w[f]", "w[f][:, ::-1, ::-1]"), {"dx": "flip of dx"}),
    Mutant(
        "conv",
        SUM_DX,
        "dx_pad[n, :, i : i + HH, j : j + WW] += dout[n, f, i, j] * w[f]",
        {"dx": "stride ignored"},
    ),
    Mutant("conv", SUM_DX, SUM_DX.replace("w[f]", "w[0]"), {"dx": "first filter for all"}),
    Mutant("conv", SUM_DX, SUM_DX.replace("dout[n, f, i, j] * ", ""), {"dx": "dy not used"}),
    Mutant(
        "conv",
        SUM_DX,
        SUM_DX.replace("dout[n, f, i, j]", "dout[n, f, j, i]"),
        {"dx": "transposed dy"},
    ),
    Mutant("conv", SUM_DX, SUM_DX.replace("+=", "-="), {"dx": "sign"}),
    Mutant("conv", SUM_DW, SUM_DW.replace("+=", "="), {"dw": "last place of all"}),
    Mutant(
        "conv",
        SUM_DW,
        "dw[f] += dout[n, f, i, j] * x_pad[n, :, i : i + HH, j : j + WW]",
        {"dw": "stride ignored"},
    ),
    Mutant("conv", SUM_DW, SUM_DW + " / N", {"dw": "mean over the batch"}),
    Mutant("conv", SUM_DW, SUM_DW.replace("dout[n, f, i, j]", "1.0"), {"dw": "dy not used"}),
    Mutant("conv", SUM_DW, SUM_DW + "[:, ::-1, ::-1]", {"dw": "mirrored dw"}),
    Mutant(
        "conv",
        "    for n in range(N):\n        for f in range(F):\n            for i in range(H_out):\n                for j in range(W_out):\n                    rows",
        "    for n in range(N):\n        dw = np.zeros_like(w)\n        for f in range(F):\n            for i in range(H_out):\n                for j in range(W_out):\n                    rows",
        {"dw": "only the last image"},
    ),
    Mutant("conv", DB, DB.replace("(0, 2, 3)", "(1, 2, 3)"), {"db": "axes of db"}),
    Mutant("conv", DB, DB.replace("(0, 2, 3)", "(0, 1, 2)"), {"db": "axes of db"}),
    Mutant("conv", DB, DB.replace("(0, 2, 3)", "0"), {"db": "axes of db"}),
    Mutant("conv", DB, DB.replace("np.sum", "np.mean"), {"db": "mean of db"}),
    Mutant("conv", DB, DB + " / N", {"db": "mean over the batch"}),
    Mutant("conv", DB, "db = dout.sum(axis=(0, 2, 3)).reshape(F, 1)", {"db": "column"}),
    Mutant("conv", "return dx, dw, db", "return dw, dx, db", {"dx": "order", "dw": "order"}),
    # two mistakes
    Mutant(
        "conv",
        f"{CROP}\n    return dx, dw, db",
        "dx = dx_pad[:, :, pad:-pad, pad:-pad]\n    return dx, dw / N, db",
        {"dx": "pad:-pad", "dw": "mean over the batch"},
    ),
    Mutant(
        "conv",
        f"{CROP}\n    return dx, dw, db",
        "dx = dx_pad[:, :, pad:-pad, pad:-pad]\n    return -dx, dw, db",
        {"dx": "pad:-pad + factor"},
    ),
    # max pooling
    Mutant("pool", POOL, POOL.replace("+=", "="), {"dx": "assigned dx"}),
    Mutant(
        "pool", POOL, f"{WINDOW} += (window == window.max()) * dout[n, c, i, j]", {"dx": "all ties"}
    ),
    Mutant(
        "pool",
        POOL,
        f"{WINDOW} = (window == window.max()) * dout[n, c, i, j]",
        {"dx": "assigned dx, all ties"},
    ),
    Mutant(
        "pool",
        POOL,
        f"{WINDOW}[window == window.max()] = dout[n, c, i, j]",
        {"dx": "assigned dx, all ties"},
    ),
    Mutant("pool", POOL, f"{WINDOW} += dout[n, c, i, j]", {"dx": "no mask"}),
    Mutant("pool", POOL, f"{WINDOW} += dout[n, c, i, j] / (ph * pw)", {"dx": "average's gradient"}),
    Mutant(
        "pool", POOL, POOL.replace("i * s + a, j * s + b", "i + a, j + b"), {"dx": "stride ignored"}
    ),
    Mutant("pool", POOL, POOL + " * window[a, b]", {"dx": "times the maximum"}),
    Mutant("pool", ".max(axis", ".mean(axis", {"y": "mean"}),
    Mutant("pool", ".max(axis=(2, 3))", ".max(axis=(2, 3), initial=0)", {"y": "start at 0"}),
    Mutant(
        "pool",
        "i * s : i * s + ph, j * s : j * s + pw].max",
        "i : i + ph, j : j + pw].max",
        {"y": "stride ignored"},
    ),
    Mutant(
        "pool",
        "    H_out = 1 + (H - ph) // s\n    W_out = 1 + (W - pw) // s",
        "    H_out = (H - ph) // s\n    W_out = (W - pw) // s",
        {"y": "size without + 1"},
    ),
    # batch norm
    Mutant(
        "bn",
        "std = np.sqrt(var + eps)",
        "std = np.sqrt(var) + eps",
        {"y": "eps outside the root", "dx": "eps outside the root"},
    ),
    Mutant(
        "bn",
        'eps = bn_param.get("eps", 1e-5)',
        "eps = 1e-5",
        {"y": "eps fixed", "y_test": "eps fixed"},
    ),
    Mutant(
        "bn",
        'momentum = bn_param.get("momentum", 0.9)',
        "momentum = 0.9",
        {"running_mean": "momentum fixed", "running_var": "momentum fixed"},
    ),
    Mutant(
        "bn",
        "momentum * running_mean + (1 - momentum) * mu",
        "(1 - momentum) * running_mean + momentum * mu",
        {"running_mean": "momentum exchanged"},
    ),
    Mutant(
        "bn",
        "momentum * running_var + (1 - momentum) * var",
        "momentum * running_var + (1 - momentum) * std",
        {"running_var": "standard deviation stored"},
    ),
    Mutant(
        "bn", '    bn_param["running_mean"] = running_mean\n', "", {"running_mean": "not updated"}
    ),
    Mutant(
        "bn",
        "(x - running_mean) / np.sqrt(running_var + eps)",
        "(x - x.mean(0)) / np.sqrt(x.var(0) + eps)",
        {"y_test": "batch statistics in test mode"},
    ),
    Mutant("bn", "np.sqrt(running_var + eps)", "np.sqrt(running_var)", {"y_test": "eps missing"}),
    Mutant("bn", "out = gamma * xhat + beta", "out = xhat + beta", {"y": "gamma missing"}),
    Mutant(
        "bn",
        "dgamma = (dout * xhat).sum(axis=0)",
        "dgamma = (dout * xmu).sum(axis=0)",
        {"dgamma": "x - mean for x^"},
    ),
    Mutant(
        "bn",
        "dbeta = dout.sum(axis=0)",
        "dbeta = dout.sum(axis=0, keepdims=True)",
        {"dbeta": "kept axis"},
    ),
    Mutant(
        "bn", "dbeta = dout.sum(axis=0)", "dbeta = dout.mean(axis=0)", {"dbeta": "mean for sum"}
    ),
    Mutant(
        "bn",
        "dx = dxhat / std + dvar * 2 * xmu / N + dmu / N",
        "dx = dxhat / std + dvar * 2 * xmu / N",
        {"dx": "mean term missing"},
    ),
    Mutant(
        "bn",
        "dx = dxhat / std + dvar * 2 * xmu / N + dmu / N",
        "dx = dxhat / std + dmu / N",
        {"dx": "variance term missing"},
    ),
    Mutant(
        "bn",
        "dx = dxhat / std + dvar * 2 * xmu / N + dmu / N",
        "dx = dxhat / std",
        {"dx": "both mean terms missing"},
    ),
    Mutant("bn", "dvar * 2 * xmu / N", "dvar * xmu / N", {"dx": "half of the variance term"}),
    Mutant("bn", "-0.5 * std**-3", "0.5 * std**-3", {"dx": "sign of the variance term"}),
    Mutant("bn", "* -0.5 * std**-3", "* -1.0 * std**-3", {"dx": "twice the variance term"}),
    Mutant("bn", "dvar * 2 * xmu / N + dmu / N", "dvar * 2 * xmu + dmu", {"dx": "sums for means"}),
    Mutant("bn", "dxhat = dout * gamma", "dxhat = dout", {"dx": "gamma missing"}),
    Mutant(
        "bn_alt",
        LINE_ALT,
        "dx = gamma / (N * std) * (N * dout - dbeta - dgamma)",
        {"dx": "x^ not in the variance term"},
    ),
    Mutant(
        "bn_alt",
        LINE_ALT,
        "dx = gamma / N * (N * dout - dbeta - xhat * dgamma)",
        {"dx": "1/std missing"},
    ),
    Mutant(
        "bn_alt",
        LINE_ALT,
        "dx = gamma / (N * std) * (dout - dbeta - xhat * dgamma)",
        {"dx": "divided by m: dy*gamma"},
    ),
    Mutant(
        "ln",
        "x.mean(axis=1, keepdims=True)\n    var = x.var(axis=1, keepdims=True)",
        "x.mean(axis=0)\n    var = x.var(axis=0)",
        {"y": "batch"},
    ),
    Mutant(
        "ln",
        "x.var(axis=1, keepdims=True)",
        "x.var(axis=1, keepdims=True, ddof=1)",
        {"y": "unbiased variance", "dx": "unbiased variance"},
    ),
    Mutant(
        "ln",
        "dgamma = (dout * xhat).sum(axis=0)",
        "dgamma = (dout * xhat).sum(axis=1)",
        {"dgamma": "summed over the features"},
    ),
    Mutant(
        "sbn",
        "x.transpose(0, 2, 3, 1).reshape(-1, C)\n    out, cache = batchnorm_forward(flat, gamma, beta, bn_param)\n    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)",
        "x.reshape(-1, C)\n    out, cache = batchnorm_forward(flat, gamma, beta, bn_param)\n    return out.reshape(N, C, H, W)",
        {"y": "reshape without transpose"}
        | dict.fromkeys(("dx", "dgamma", "running_mean", "running_var"), "wrong order of axes"),
    ),
    # affine, ReLU
    Mutant("affine", ".dot(w) + b", ".dot(w)", {"y": "no bias"}),
    Mutant("affine", ".reshape(x.shape)", "", {"dx": "not reshaped"}),
    Mutant(
        "affine",
        "x.reshape(x.shape[0], -1).T.dot(dout)",
        "dout.T.dot(x.reshape(x.shape[0], -1))",
        {"dw": "transposed dw"},
    ),
    Mutant(
        "affine", "db = np.sum(dout, axis=0)", "db = np.sum(dout, axis=1)", {"db": "axis of db"}
    ),
    Mutant(
        "affine", "db = np.sum(dout, axis=0)", "db = np.sum(dout)", {"db": "db a single number"}
    ),
    Mutant(
        "affine",
        "db = np.sum(dout, axis=0)",
        "db = np.sum(dout, axis=0, keepdims=True)",
        {"db": "kept axis"},
    ),
    Mutant(
        "affine",
        "db = np.sum(dout, axis=0)",
        "db = np.mean(dout, axis=0)",
        {"db": "mean over the batch"},
    ),
    Mutant("affine", "db = np.sum(dout, axis=0)", "db = dout", {"db": "db not summed"}),
    Mutant("relu", "dout * (x > 0)", "dout * (dout > 0)", {"dx": "mask of dy"}),
    Mutant("relu", "dout * (x > 0)", "(x > 0).astype(float)", {"dx": "mask only"}),
    Mutant("relu", "dout * (x > 0)", "dout * np.maximum(0, x)", {"dx": "times x"}),
    Mutant("relu", "dout * (x > 0)", "dout * (x < 0)", {"dx": "negative side"}),
    Mutant(
        "relu",
        "dx = dout * (x > 0)",
        "dout[x <= 0] = 0\n    dx = dout",
        {},
        "backward changes its input dout",
    ),
    Mutant(
        "relu",
        "out = np.maximum(0, x)",
        "x[x < 0] = 0\n    out = x",
        {},
        "forward changes its input x",
    ),
    Mutant(
        "relu",
        "out = np.maximum(0, x)",
        "out = np.maximum(0, x).astype(np.float32)",
        {},
        "y is float32",
    ),
    Mutant("relu", "np.maximum(0, x)", "np.abs(x)", {"y": "absolute value"}),
    # losses
    Mutant(
        "softmax",
        "x - np.max(x, axis=1, keepdims=True)",
        "x",
        {"loss": "overflow", "dx": "overflow"},
    ),
    Mutant("softmax", "dx[np.arange(N), y] -= 1\n", "\n", {"dx": "label not subtracted"}),
    Mutant("softmax", "    dx /= N\n", "", {"dx": "without 1/N"}),
    Mutant(
        "softmax",
        "    dx[np.arange(N), y] -= 1\n    dx /= N\n",
        "    dx /= N\n    dx[np.arange(N), y] -= 1\n",
        {"dx": "1 after the division"},
    ),
    Mutant("softmax", "y]) / N", "y])", {"loss": "sum for mean"}),
    Mutant("softmax", "loss = -np.sum", "loss = np.sum", {"loss": "sign"}),
    Mutant(
        "softmax",
        "np.sum(log_probs[np.arange(N), y]) / N",
        "np.mean(log_probs)",
        {"loss": "all classes"},
    ),
    Mutant(
        "svm",
        "dx[np.arange(N), y] -= num_pos",
        "dx[np.arange(N), y] -= 1",
        {"dx": "label subtracted once"},
    ),
    Mutant("svm", "    dx /= N\n", "", {"dx": "without 1/N"}),
    Mutant("svm", "+ 1.0)", ")", {"loss": "no margin"}),
    Mutant("svm", "    margins[np.arange(N), y] = 0\n", "", {"loss": "label counted"}),
    # dropout
    Mutant(
        "dropout",
        "(np.random.rand(*x.shape) < p) / p",
        "(np.random.rand(*x.shape) < p)",
        {"y": "no scale", "dx": "no scale"},
    ),
    Mutant("dropout", "< p) / p", "< p) * p", {"y": "multiplied", "dx": "multiplied"}),
    Mutant(
        "dropout",
        "< p) / p",
        "> p) / p",
        {"y": "the other probability", "dx": "the other probability"},
    ),
    Mutant("dropout", "dx = dout * mask", "dx = dout", {"dx": "mask forgotten"}),
    Mutant(
        "dropout",
        "dx = dout * mask",
        "dx = dout * mask / dropout_param['p']",
        {"dx": "divided twice"},
    ),
    Mutant(
        "dropout", "        out = x\n", "        out = x * p\n", {"y_test": "scaled in test mode"}
    ),
    Mutant(
        "dropout",
        "np.random.rand(*x.shape) < p",
        "np.random.rand(1, *x.shape[1:]) < p",
        {},
        "one mask serves the whole batch",
    ),
    # NHWC
    Mutant(
        "conv_nhwc",
        "patches, w) + b",
        "patches, w[::-1, ::-1]) + b",
        {"y": "flipped kernel"},
        file="nhwc_right",
    ),
    Mutant(
        "conv_nhwc", "w[i, j].T", "w[-1 - i, -1 - j].T", {"dx": "flip of dx"}, file="nhwc_right"
    ),
    Mutant(
        "conv_nhwc", "dy.sum((0, 1, 2))", "dy.sum((0, 1))", {"db": "axes of db"}, file="nhwc_right"
    ),
    Mutant("avg", "/ (kh * kw)", "", {"dx": "no divisor"}, file="nhwc_right"),
    Mutant(
        "avg", "/ (kh * kw)", "/ (stride * stride)", {"dx": "divisor stride"}, file="nhwc_right"
    ),
    Mutant("avg", "] += share", "] = share", {"dx": "assigned dx"}, file="nhwc_right"),
    Mutant("avg", ".mean(axis=(4, 5))", ".max(axis=(4, 5))", {"y": "maximum"}, file="nhwc_right"),
    Mutant(
        "lrn", "c + half + 1] ** 2", "c + half] ** 2", {"y": "window off by one"}, file="nhwc_right"
    ),
    Mutant(
        "lrn",
        "scale = k + alpha * squares",
        "scale = k + alpha / size * squares",
        {"dx": "alpha not divided in the cross term"},
        file="nhwc_right",
    ),
    Mutant(
        "lrn", "k + alpha * squares", "1 + alpha * squares", {"y": "k missing"}, file="nhwc_right"
    ),
    Mutant(
        "lrn",
        "inner = dy * x * scale",
        "inner = dy * x * x * scale",
        {"dx": "x_j squared"},
        file="nhwc_right",
    ),
    Mutant(
        "lrn",
        "inner = dy * x * scale ** (-beta - 1)",
        "inner = dy * scale ** (-beta - 1)",
        {"dx": "x_j missing"},
        file="nhwc_right",
    ),
    Mutant(
        "lrn",
        "- 2 * alpha * beta * x * crossed",
        "+ 2 * alpha * beta * x * crossed",
        {"dx": "sign of the cross term"},
        file="nhwc_right",
    ),
    Mutant("lrn", "- 2 * alpha", "- alpha", {"dx": "factor 2 missing"}, file="nhwc_right"),
    Mutant(
        "lrn", " - 2 * alpha * beta * x * crossed", "", {"dx": "no cross term"}, file="nhwc_right"
    ),
]
