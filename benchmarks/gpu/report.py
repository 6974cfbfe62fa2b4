"""What was found: collected, judged, and written as JSON, as tables and as a picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from .tables import tables

LISTS = {
    "check": "checks",
    "course": "courses",
    "epoch": "epochs",
    "cause": "causes",
    "ablation": "ablations",
    "counters": "counters",
    "failure": "failures",
    "left out": "left_out",
}


def collected(lines: Sequence[dict], stored: Sequence[dict] = ()) -> dict[str, Any]:
    """The lines of all parts by their kind, and beside each speed PyTorch's best.

    PyTorch's rows are those of this run, or else `stored` ones of an earlier run on the same card.
    """
    found: dict[str, Any] = {
        "environment": {},
        "ceilings": {},
        **{name: [] for name in LISTS.values()},
        "output": [],
    }
    for line in lines:
        if line["kind"] in ("environment", "ceilings"):
            found[line["kind"]] = {
                key: value for key, value in line.items() if key not in ("kind", "part")
            }
        elif line["kind"] in LISTS:
            found[LISTS[line["kind"]]].append(line)
        elif line["kind"] == "output":
            found["output"].append(line)
    found["torch"] = [line for line in lines if line["kind"] == "torch"]
    found["stored"] = list(stored)
    ways = best_ways([*stored, *found["torch"]])
    found["rows"] = [
        _beside(line, ways, found["ceilings"]) for line in lines if line["kind"] == "speed"
    ]
    return found


def stored(path: Path | None) -> list[dict]:
    """PyTorch's rows in a file; none without one.

    Raises ValueError with one sentence for a file that is none.
    """
    if path is None:
        return []
    try:
        rows = json.loads(path.read_text())
        best_ways(rows)
    except OSError as error:
        raise ValueError(f"--torch-file {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(
            f"--torch-file {path}: expected a gpu-torch.json, as an earlier run wrote it"
        ) from None
    return rows


def best_ways(rows: Sequence[dict]) -> dict[tuple[str, str], dict[str, float]]:
    """Name and precision -> PyTorch's ways and their seconds, the last of each way."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row["name"], row["precision"]), {}).update(row["ways"])
    return found


def _beside(row: dict, ways: dict, ceilings: dict[str, float]) -> dict[str, Any]:
    theirs = ways.get((row.get("against", row["name"]), row["precision"])) or {}
    way, best = min(theirs.items(), key=lambda item: item[1], default=(None, None))
    ratio = best / row["seconds"] if best else None
    return row | {"torch": best, "way": way, "ratio": ratio, "share": share(row, ceilings)}


def share(row: dict, ceilings: dict[str, float]) -> float | None:
    """The floor divided by our time; None without ceilings.

    The floor is the larger of bytes at the bandwidth of a copy and FLOPs at the rate of a product.
    """
    is_split = row["precision"] == "fp32"  # 3xTF32: three products in tf32
    rate = ceilings.get(f"{'tf32' if is_split else row['precision']} product, FLOP/s")
    bandwidth = ceilings.get("copy, bytes/s")
    floors = [0.0]
    if bandwidth:
        floors.append(row["bytes"] / bandwidth)
    if rate:
        floors.append((3 if is_split else 1) * row["flops"] / rate)
    return max(floors) / row["seconds"] or None


def verdict(found: dict) -> tuple[int, int]:
    """How many comparisons failed, and of how many."""
    judged = [*found["checks"], *found["courses"]]
    return sum(not result["passed"] for result in judged), len(judged)


def write(found: dict, folder: Path, picture: bool = True) -> None:
    """Write `gpu.json`, `gpu.md` and `gpu.png`, and PyTorch's rows to `gpu-torch.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    if found["torch"]:
        kept = [
            {"kind": "torch", "name": name, "precision": precision, "ways": ways}
            for (name, precision), ways in best_ways([*found["stored"], *found["torch"]]).items()
        ]
        (folder / "gpu-torch.json").write_text(json.dumps(kept, indent=1) + "\n")
    with (folder / "gpu.md").open("w") as file:
        plain = Console(file=file, width=200, highlight=False)
        plain.print(" ".join(f"{key}={value}" for key, value in found["environment"].items()))
        for table in tables(found):
            plain.print(table)
    if picture and any(r["ratio"] for r in found.get("rows", [])):
        _picture([r for r in found["rows"] if r["ratio"]], folder / "gpu.png")


def _picture(rows: list[dict], path: Path) -> None:
    """A bar for each ratio, by precision."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r["name"] for r in rows))
    colors = {"fp32": "#1b6ca8", "tf32": "#dd8452", "bf16": "#55a868", "ffma": "#999999"}
    used = [p for p in colors if any(r["precision"] == p for r in rows)]
    figure = Figure(figsize=(10, 0.22 * len(names) * len(used) + 1.4), layout="constrained")
    axes = figure.subplots()
    for i, precision in enumerate(used):
        mine = {r["name"]: r["ratio"] for r in rows if r["precision"] == precision}
        places = [names.index(name) + (i - (len(used) - 1) / 2) * 0.8 / len(used) for name in mine]
        bars = axes.barh(
            places, list(mine.values()), 0.8 / len(used), color=colors[precision], label=precision
        )
        axes.bar_label(bars, [f"{v:.2f}" for v in mine.values()], padding=3, fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("times PyTorch's speed (1 = as fast; the best of its layouts and ways)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
