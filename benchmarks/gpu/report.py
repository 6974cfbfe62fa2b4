"""What was found: tables in the terminal, a JSON file, markdown, and a picture of the ratios."""

import json
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, width=None if Console().is_terminal else 170)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left")


def _verdict(result: dict) -> str:
    return "[green]ok[/]" if result["passed"] else "[red]FAILED[/]"


def tables(found: dict) -> list[Table]:
    """The results as tables; of the comparisons those that failed, or else those that came nearest to their limits."""
    shown = []
    if found.get("checks"):
        table = _table("correctness", "comparison", "precision", "error", "limit", "bits repeat", "")
        failed = [c for c in found["checks"] if not c["passed"]]
        for check in failed or sorted(found["checks"], key=lambda c: -c["error"] / c["limit"])[:8]:
            repeats = "yes" if check["repeats"] else "no"
            table.add_row(check["name"], check["precision"], f"{check['error']:.1e}", f"{check['limit']:.0e}", repeats, _verdict(check))
        table.caption = f"{len(found['checks']) - len(failed)} of {len(found['checks'])} passed"
        shown.append(table)
    if found.get("sanitizer"):
        table = _table("compute-sanitizer", "tool", "outcome")
        for tool, outcome in found["sanitizer"].items():
            table.add_row(tool, outcome)
        shown.append(table)
    if found.get("rows"):
        table = _table("speed", "what", "precision", "ours", "PyTorch", "its way", "ratio", "TFLOP/s", "of the floor")
        for r in found["rows"]:
            theirs, ratio = (f"{r['torch'] * 1e6:,.1f} us", f"{r['ratio']:.2f}") if r["torch"] else ("", "")
            rate = f"{r['flops'] / r['seconds'] / 1e12:.1f}" if r["flops"] else ""
            share = f"{r['share']:.0%}" if r["share"] else ""
            table.add_row(r["name"], r["precision"], f"{r['seconds'] * 1e6:,.1f} us", theirs, r["way"] or "", ratio, rate, share)
        for text, mean in means(found["rows"]).items():
            table.add_row(f"[bold]geometric mean: {text}[/]", "", "", "", "", f"[bold]{mean:.2f}[/]", "", "")
        shown.append(table)
    if found.get("courses"):
        table = _table("learning", "training", "precision", "losses on the GPU", "on the CPU", "distance", "test accuracy", "")
        for c in found["courses"]:
            losses = (" ".join(f"{v:.4f}" for v in c[side]) for side in ("gpu", "cpu"))
            table.add_row(c["name"], c["precision"], *losses, f"{c['distance']:.1e}", f"{c['accuracy']:.2%}", _verdict(c))
        shown.append(table)
    return shown


def means(rows) -> dict[str, float]:
    """Group and precision -> the geometric mean of the ratios."""
    found: dict[str, list[float]] = {}
    for r in rows:
        if r["ratio"]:
            found.setdefault(f"{r['group']}, {r['precision']}", []).append(r["ratio"])
    return {text: statistics.geometric_mean(values) for text, values in found.items()}


def write(found: dict, folder: Path) -> None:
    """`gpu.json`, `gpu.md` and `gpu.png` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    with (folder / "gpu.md").open("w") as file:
        plain = Console(file=file, width=170, highlight=False)
        plain.print(" ".join(f"{key}={value}" for key, value in found["environment"].items()))
        for table in tables(found):
            plain.print(table)
    if any(r["ratio"] for r in found.get("rows", [])):
        _picture([r for r in found["rows"] if r["ratio"]], folder / "gpu.png")


def _picture(rows, path: Path) -> None:
    """A bar for each ratio, by precision."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r["name"] for r in rows))
    colours = {"fp32": "#1b6ca8", "tf32": "#dd8452", "bf16": "#55a868", "ffma": "#999999"}
    used = [p for p in colours if any(r["precision"] == p for r in rows)]
    figure = Figure(figsize=(10, 0.22 * len(names) * len(used) + 1.4), layout="constrained")
    axes = figure.subplots()
    for i, precision in enumerate(used):
        mine = {r["name"]: r["ratio"] for r in rows if r["precision"] == precision}
        places = [names.index(name) + (i - (len(used) - 1) / 2) * 0.8 / len(used) for name in mine]
        bars = axes.barh(places, list(mine.values()), 0.8 / len(used), color=colours[precision], label=precision)
        axes.bar_label(bars, [f"{v:.2f}" for v in mine.values()], padding=3, fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("times PyTorch's speed (1 = as fast; the best of its layouts and ways)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
