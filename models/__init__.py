"""The networks of the papers, one file each: `create(name, **options)`, `names()`."""

from minicnn.registry import create, names

from . import alexnet, googlenet, inception_v4, lenet, nin, resnet, vgg, zfnet

__all__ = [
    "alexnet",
    "create",
    "googlenet",
    "inception_v4",
    "lenet",
    "names",
    "nin",
    "resnet",
    "vgg",
    "zfnet",
]
