"""What the tests of the emulated GPU share."""

from collections.abc import Iterator, Mapping

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


PLANTED = """static bool planted(int mistake) {
    const char* chosen = getenv("PLANTED");
    return chosen && atoi(chosen) == mistake;
}
"""


def planted(mistakes: Mapping[str, str | None], before: str) -> Iterator[tuple[str, str]]:
    """Changes of a source that plant all mistakes; the variable PLANTED chooses one by its number.

    Args:
        mistakes: a statement, and None to leave it out; or an expression, and what takes its place.
        before: the text of the source that follows the function which they call.
    """
    yield before, PLANTED + before
    for i, (old, new) in enumerate(mistakes.items()):
        if new is None:
            yield old, f"if (!planted({i})) {{ {old.removesuffix('}')} }}" + "}" * old.endswith("}")
        else:
            yield old, f"(planted({i}) ? {new} : {old})"
