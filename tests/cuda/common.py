"""What the tests of the emulated GPU share."""

import numpy as np

from .. import emulator


def to_device(a):
    """An array on the emulated device that shares the memory of `a`."""
    return a.view(emulator.DeviceArray) if type(a) is np.ndarray else a


def relative(ours, theirs) -> float:
    """The L2 norm of the difference over that of `theirs`; all numbers must be finite."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    assert np.isfinite(ours).all()
    return np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30)
