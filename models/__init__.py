"""The networks of the papers, one file each: `create(name, **options)`, `names()`."""

from minicnn.registry import create, names

from . import lenet

__all__ = ["create", "lenet", "names"]
