"""The rules of minicnn's layers: which operators of ONNX each one becomes.

The form is that of evaluation: dropout and auxiliary heads are left out, and batch norm uses its
running statistics. Where runtimes disagree about an attribute (ceil mode, LRN of an even size), a
rule writes nodes that have only one meaning.
"""

from . import activations, containers, norms, pooling, resampling, shapes, weighted

__all__ = ["activations", "containers", "norms", "pooling", "resampling", "shapes", "weighted"]
