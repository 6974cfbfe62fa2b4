"""Numba's cache of compiled functions on disk, and what its entries depend on."""

import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache

_warned = False


def compile_cached(compile: Callable[[bool], Any], function: Callable) -> Any:
    """`compile(True)`, which uses Numba's cache of `function`; `compile(False)` if that fails.

    A damaged cache entry is replaced. Without a writable folder there is no cache, and a warning
    says so once. Errors of `function` itself appear in every attempt and are raised by the last.
    """
    try:
        return compile(True)
    except Exception:  # reading a damaged file can raise anything
        pass
    try:
        FunctionCache(function).flush()
        return compile(True)
    except Exception:
        result = compile(False)
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "compiled kernels cannot be kept, because neither the installation nor the user's cache"
            " folder can be written: every start compiles them again, which takes some seconds."
            " Set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
    return result


@functools.cache
def stamp(folder: Path) -> str:
    """A hash of the sources on which kernels in that folder may depend: kernels/cpu and its own.

    Numba does not notice that a function called from another file has changed.
    """
    engine = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted({*engine.rglob("*.py"), *folder.glob("*.py")}):
        digest.update(path.read_bytes())
    digest.update(os.environ.get("MINICNN_SIMD", "").encode())
    return digest.hexdigest()
