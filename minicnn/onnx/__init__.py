"""Networks as ONNX files: `to_onnx` writes one, `from_onnx` reads one.

`rule` says which operators a layer becomes.
"""

from .export import to_onnx
from .export_graph import GraphWriter, Value, per_channel, rule
from .load import from_onnx

__all__ = ["GraphWriter", "Value", "from_onnx", "per_channel", "rule", "to_onnx"]
