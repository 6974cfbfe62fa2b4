"""The picture of a profile: horizontal bars by layer, with the floor marked."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from .picture import Picture
from .plots import TEST, TRAIN, Target, finish

if TYPE_CHECKING:
    from .profile import Profile, ProfileRow

KINDS = (("forward", TRAIN, -0.2), ("backward", TEST, 0.2))


def bars(profile: "Profile", path: Target = None, rows: int = 40) -> Path | Figure:
    """A pair of bars for each row, in milliseconds, with a black line at each one's floor."""
    found = profile.folded(rows)
    figure = Picture(figsize=(9, 0.27 * len(found) + 1.5), layout="constrained")
    axes = figure.subplots()
    kinds = KINDS if profile.train else KINDS[:1]
    for name, color, offset in kinds:
        shift = offset if profile.train else 0.0
        places = [i + shift for i in range(len(found))]
        times = [1e3 * getattr(row, name) for row in found]
        axes.barh(places, times, 0.4 if profile.train else 0.7, color=color, label=name)
        _floors(axes, [1e3 * getattr(row, f"{name}_floor") for row in found], places)
    axes.plot([], [], color="black", linewidth=2, label="floor")
    longest = max(max(row.forward, row.backward) for row in found) * 1e3
    for i, row in enumerate(found):
        share = row.seconds / profile.seconds
        if share >= 0.005:
            _share(axes, row, i, share, longest)
    axes.set_yticks(range(len(found)), [row.name for row in found], fontsize=8, parse_math=False)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0, 1.1 * longest)
    axes.set_xlabel("ms per step; percent of the step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)
    return finish(figure, path, profile.title)


def _floors(axes: Any, floors: list[float], places: list[float]) -> None:
    ends = [
        (place - 0.2, place + 0.2) for place, floor in zip(places, floors, strict=True) if floor
    ]
    shown = [floor for floor in floors if floor]
    axes.vlines(shown, [low for low, _ in ends], [high for _, high in ends], color="black", lw=2)


def _share(axes: Any, row: "ProfileRow", place: int, share: float, longest: float) -> None:
    floor = max(row.forward_floor, row.backward_floor)
    end = 1e3 * max(row.forward, row.backward, floor if floor * 1e3 < longest else 0)
    text = f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
    axes.text(end + 0.01 * longest, place, text, va="center", fontsize=7, color="0.35")
