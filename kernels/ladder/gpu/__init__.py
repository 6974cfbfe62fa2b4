"""The GPU's ladders: convolution and batch norm in CUDA C, one idea per rung.

A file `convNN_name.cu` or `normNN_name.cu` is a rung: whole kernels that can be read alone, whose
first line is `// name: idea.` problem.cuh has the shape of the convolution, which all rungs share.
conv.py and norm.py list the rungs, start them, and say what each waits for, which roofs.py
computes; twins.py has the first rungs in Python.

A rung prepares its passes for arrays on the device: everything that is no part of the work, such as
the conversion to bfloat16, happens there.

    passes = rung.prepare(x, w, b, dy)    x (N, H, W, C), w (R, R, C, K), b (K,), dy (N, H, W, K)
    passes["forward"]()                   y = max(x conv w + b, 0), the size of the images is kept
    passes["grad_input"]()                dx, of dy before the ReLU
    passes["grad_weight"]()               dw

`minicnn ladder conv --device cuda` and `minicnn ladder batch_norm --device cuda` check each rung,
measure it, and draw the ladder.

Two studies belong to the ladder: lenet.py, a whole training step in one kernel, and peak.py, the
rates of the GPU's ordinary units and of its memory.
"""

from . import conv, norm
from .rung import Rung

__all__ = ["Rung", "rungs"]

RUNGS = {"conv": conv.rungs, "batch_norm": norm.rungs}


def rungs(operation: str = "conv") -> list[Rung]:
    """The rungs of an operation, lowest first."""
    return RUNGS[operation]()
