"""Networks as ONNX files: `to_onnx` writes one; `rule` says which operators a layer becomes."""

from .export import to_onnx
from .export_graph import GraphWriter, Value, per_channel, rule

__all__ = ["GraphWriter", "Value", "per_channel", "rule", "to_onnx"]
