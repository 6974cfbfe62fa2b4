"""Weights on disk: minicnn's own safetensors files, and torch's checkpoints, read without torch."""

from .safetensors import load, load_state, read, save, write
from .torch_file import read_torch
from .torch_state import load_torch, to_torch

__all__ = ["load", "load_state", "load_torch", "read", "read_torch", "save", "to_torch", "write"]
