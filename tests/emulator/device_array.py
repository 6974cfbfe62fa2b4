"""Arrays of the emulated device, whose arithmetic a graph captures as it does that of CuPy's."""

from collections.abc import Callable

import numpy as np


class Capture:
    """What the graph that is captured now will repeat.

    calls: functions without arguments, or None if no graph is captured. empty: allocates memory.
    """

    calls: list[Callable] | None = None
    empty: Callable


class DeviceArray(np.ndarray):
    """An array on the emulated device.

    It is no plain NumPy array, so that the dispatcher chooses the backend `cuda` for it. While a
    graph is captured, assignments, copies and arithmetic wait for its replays. Products of matrices
    are errors then, as cuBLAS's are in CuPy, and so is what needs values on the host.
    """

    __module__ = "numpy"  # whose functions the reference applies to it
    __cuda_array_interface__: dict = {}  # by which it is known

    def __setitem__(self, key, value):
        if Capture.calls is None:
            return super().__setitem__(key, value)
        Capture.calls.append(lambda: plain(self).__setitem__(key, plain(value)))

    def copy(self, order="C"):
        return super().copy(order) if Capture.calls is None else self.astype(self.dtype)

    def astype(self, dtype, *rest, copy=True, **options):
        if Capture.calls is None:
            return super().astype(dtype, *rest, copy=copy, **options)
        if not copy and self.dtype == dtype:
            return self
        result = Capture.empty(self.shape, dtype)
        result[...] = self
        return result

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        inputs, plain_out = [plain(a) for a in inputs], tuple(map(plain, out))
        options |= {"out": plain_out} if out else {}
        if Capture.calls is None:
            result = getattr(ufunc, method)(*inputs, **options)
            return out[0] if out else on_device(result)
        if ufunc is np.matmul:
            raise NotImplementedError("cuBLAS cannot be used while a graph is captured")
        if not out:
            with np.errstate(all="ignore"):  # only the shape and type are right yet
                like = np.asarray(getattr(ufunc, method)(*inputs, **options))
            out = (Capture.empty(like.shape, like.dtype),)
            options["out"] = (plain(out[0]),)
        Capture.calls.append(lambda: getattr(ufunc, method)(*inputs, **options))
        return out[0]

    def __array_function__(self, function, types, inputs, options):
        if Capture.calls is not None and function not in (np.shape, np.ndim, np.broadcast_to):
            raise RuntimeError(f"a captured graph of the emulator has no np.{function.__name__}")
        return super().__array_function__(function, types, inputs, options)

    def _value(self, kind):
        if Capture.calls is not None:
            raise RuntimeError("a value cannot be read while a graph is captured")
        return kind(plain(self))

    def __float__(self):
        return self._value(float)

    def __int__(self):
        return self._value(int)

    def __bool__(self):
        return self._value(bool)

    def item(self, *at):
        return self._value(lambda array: array.item(*at))


def plain(a):
    """A device's array as one of NumPy that shares its memory; other values as they are."""
    return a.view(np.ndarray) if isinstance(a, DeviceArray) else a


def on_device(result):
    """The result of NumPy's arithmetic, which belongs to the device again."""
    if isinstance(result, tuple):
        return tuple(map(on_device, result))
    return result.view(DeviceArray) if type(result) is np.ndarray else result
