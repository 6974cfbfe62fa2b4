"""Optimisers on the GPU: one launch for all parameters, which finds them through tables in the device's memory."""

import functools

import numpy as np

from .arrays import contiguous
from .device import THREADS, launch, runtime

CHUNK = 2048
_TENSOR = np.dtype([("w", np.uint64), ("first", np.uint64), ("second", np.uint64), ("g", np.uint64), ("size", np.int64)])


@functools.lru_cache(maxsize=16)
def _tables(run, addresses: tuple, sizes: tuple):
    """The tables `Tensor` and `Chunk` of optim.cu, on the device, and the number of chunks. Addresses change seldom."""
    tensors = np.array([(*four, size) for four, size in zip(addresses, sizes, strict=True)], _TENSOR)
    chunks = [(tensor, number) for tensor, size in enumerate(sizes) for number in range(-(-size // CHUNK))]
    return run.upload(tensors.view(np.uint8)), run.upload(np.array(chunks, np.int32)), len(chunks)


@functools.lru_cache(maxsize=16)
def _rates(run, lr: tuple, weight_decay: tuple):
    """The table `Rate` of optim.cu, on the device."""
    return run.upload(np.array([lr, weight_decay], np.float32).T)


def _update(kernel: str, w, g, first, second, lr, weight_decay, *numbers) -> None:
    for array in (*w, *first, *second):
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            raise TypeError(f"{kernel}: parameters are float32 without gaps; one is {array.dtype} {array.shape}")
    g = [contiguous(gradient) for gradient in g]
    run = runtime()
    quadruples = zip(w, first, second or [None] * len(w), g, strict=True)
    addresses = tuple(tuple(0 if a is None else run.address(a) for a in four) for four in quadruples)
    tensors, chunks, count = _tables(run, addresses, tuple(a.size for a in w))
    rates = _rates(run, tuple(map(float, lr)), tuple(map(float, weight_decay)))
    launch("optim.cu", kernel, count, THREADS, tensors, rates, chunks, *numbers)


def sgd_update(w, g, v, lr, weight_decay, momentum=0.0, nesterov=False, form="torch"):
    """See `reference.sgd_update`."""
    _update("sgd", w, g, v, [], lr, weight_decay, float(momentum), int(nesterov), int(form == "caffe"))


def adam_update(w, g, m, v, lr, weight_decay, step, beta1=0.9, beta2=0.999, eps=1e-8, decoupled=False):
    """See `reference.adam_update`."""
    corrections = 1 - beta1**step, 1 - beta2**step
    _update("adam", w, g, m, v, lr, weight_decay, float(beta1), float(beta2), float(eps), *map(float, corrections), int(decoupled))


def rmsprop_update(w, g, s, v, lr, weight_decay, decay=0.99, eps=1e-8, momentum=0.0):
    """See `reference.rmsprop_update`."""
    _update("rmsprop", w, g, s, v, lr, weight_decay, float(decay), float(eps), float(momentum))
