"""What was found: tables in the terminal, a JSON file, markdown, and a picture of the ratios."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console(highlight=False, width=None if Console().is_terminal else 170)

NEAREST = 8  # comparisons that are shown if none failed
LISTS = {
    "check": "checks",
    "course": "courses",
    "epoch": "epochs",
    "cause": "causes",
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
    ways = {(row["name"], row["precision"]): row["ways"] for row in (*stored, *found["torch"])}
    found["rows"] = [
        _beside(line, ways, found["ceilings"]) for line in lines if line["kind"] == "speed"
    ]
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


def tables(found: dict) -> list[Table]:
    """The results as tables."""
    shown = []
    if found.get("checks"):
        shown.append(_checks(found["checks"]))
    for kind, title in (("failures", "errors"), ("left_out", "left out")):
        if found.get(kind):
            shown.append(_messages(title, found[kind]))
    if found.get("rows"):
        shown.append(_speed(found["rows"]))
    if found.get("courses"):
        shown.append(_courses(found["courses"]))
    if found.get("epochs"):
        shown.append(_epochs(found["epochs"]))
    return shown + [_cause(cause) for cause in found.get("causes", [])]


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left")


def _verdict(result: dict) -> str:
    return "[green]ok[/]" if result["passed"] else "[red]FAILED[/]"


def _checks(checks: list[dict]) -> Table:
    """The comparisons that failed, or else those that came nearest to their limits."""
    table = _table("correctness", "comparison", "precision", "error", "limit", "bits repeat", "")
    failed = [c for c in checks if not c["passed"]]
    nearest = sorted(checks, key=lambda c: -c["error"] / max(c["limit"], 1e-30))[:NEAREST]
    for c in failed or nearest:
        numbers = f"{c['error']:.1e}", f"{c['limit']:.0e}", "yes" if c["repeats"] else "no"
        table.add_row(escape(c["name"]), c["precision"], *numbers, _verdict(c))
    table.caption = f"{len(checks) - len(failed)} of {len(checks)} passed"
    return table


def _messages(title: str, lines: list[dict]) -> Table:
    table = _table(title, "part", "what", "why")
    for line in lines:
        table.add_row(*(escape(line[key]) for key in ("part", "name", "message")))
    return table


def _speed(rows: list[dict]) -> Table:
    columns = "what", "precision", "ours", "PyTorch", "its way", "ratio", "TFLOP/s", "of the floor"
    table = _table("speed", *columns, "tile, parts, blocks per SM")
    for r in rows:
        theirs = f"{r['torch'] * 1e6:,.1f} us" if r["torch"] else ""
        ratio = f"{r['ratio']:.2f}" if r["torch"] else ""
        rate = f"{r['flops'] / r['seconds'] / 1e12:.1f}" if r["flops"] else ""
        floor = f"{r['share']:.0%}" if r["share"] else ""
        ours = r["name"], r["precision"], f"{r['seconds'] * 1e6:,.1f} us"
        table.add_row(*ours, theirs, r["way"] or "", ratio, rate, floor, _plan(r))
    for text, mean in means(rows).items():
        name, ratio = f"[bold]geometric mean: {text}[/]", f"[bold]{mean:.2f}[/]"
        table.add_row(name, "", "", "", "", ratio, "", "", "")
    return table


def _courses(courses: list[dict]) -> Table:
    columns = "training", "precision", "losses on the GPU", "on the CPU", "distance"
    table = _table("learning", *columns, "test accuracy", "")
    for c in courses:
        losses = (" ".join(f"{v:.4f}" for v in c[side]) for side in ("gpu", "cpu"))
        numbers = f"{c['distance']:.1e}", f"{c['accuracy']:.2%}"
        table.add_row(c["name"], c["precision"], *losses, *numbers, _verdict(c))
    return table


def _epochs(epochs: list[dict]) -> Table:
    table = _table("LeNet-5 by epochs", "epoch", "training loss", "test accuracy", "seconds")
    for e in epochs:
        numbers = f"{e['train_loss']:.4f}", f"{e['test_accuracy']:.2%}", f"{e['seconds']:.2f}"
        table.add_row(f"{e['epoch']}", *numbers)
    return table


def _cause(cause: dict) -> Table:
    title = f"the kernels of a step of {cause['name']}, {cause['precision']}"
    table = _table(title, "kernel", "launches", "us", "share")
    for name, count, microseconds in cause["kernels"]:
        share_of_all = f"{microseconds / cause['microseconds']:.0%}"
        table.add_row(escape(name), f"{count}", f"{microseconds:,.1f}", share_of_all)
    return table


def _plan(row: dict) -> str:
    return "; ".join(
        f"{p['tile']}, {p['splits']}, {p['blocks per SM']}" for p in row.get("plan", [])[:2]
    )


def means(rows: Sequence[dict]) -> dict[str, float]:
    """Group and precision -> the geometric mean of the ratios."""
    found: dict[str, list[float]] = {}
    for r in rows:
        if r["ratio"]:
            found.setdefault(f"{r['group']}, {r['precision']}", []).append(r["ratio"])
    return {text: statistics.geometric_mean(values) for text, values in found.items()}


def write(found: dict, folder: Path) -> None:
    """Write `gpu.json`, `gpu.md` and `gpu.png`, and PyTorch's rows to `gpu-torch.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    if found["torch"]:
        (folder / "gpu-torch.json").write_text(json.dumps(found["torch"], indent=1) + "\n")
    with (folder / "gpu.md").open("w") as file:
        plain = Console(file=file, width=170, highlight=False)
        plain.print(" ".join(f"{key}={value}" for key, value in found["environment"].items()))
        for table in tables(found):
            plain.print(table)
    if any(r["ratio"] for r in found.get("rows", [])):
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
