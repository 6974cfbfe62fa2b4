"""Weights on disk: safetensors files, written atomically, with the model's name and a checksum in their metadata."""

from .safetensors import load, load_state, read, save, write

__all__ = ["load", "load_state", "read", "save", "write"]
