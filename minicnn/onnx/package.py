"""The `onnx` package, which is an optional extra."""

from typing import Any


def onnx_package() -> Any:
    """The module `onnx`. Raises ImportError that says how to install it."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError as error:
        raise ImportError(
            "ONNX files need the package onnx, an optional extra: pip install 'minicnn[onnx]' "
            f"({error})"
        ) from None
    return onnx
