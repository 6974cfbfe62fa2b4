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

LISTS = {
    "check": "checks",
    "course": "courses",
    "epoch": "epochs",
    "cause": "causes",
    "failure": "failures",
    "left out": "left_out",
}


def collected(lines: Sequence[dict], stored: Sequence[dict] = ()) -> dict[str, Any]:
    """The lines of all parts by their kind; beside each speed PyTorch's best: of this run, or else of an earlier one on the same card."""
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
    """The floor over our time: the larger of bytes at the copy's bandwidth and FLOPs at the product's rate. None without ceilings."""
    rate = ceilings.get(
        f"{'tf32' if row['precision'] == 'fp32' else row['precision']} product, FLOP/s"
    )
    bandwidth, effort = (
        ceilings.get("copy, bytes/s"),
        3 if row["precision"] == "fp32" else 1,
    )  # 3xTF32
    floors = ([row["bytes"] / bandwidth] if bandwidth and row["bytes"] else []) + (
        [effort * row["flops"] / rate] if rate else []
    )
    return max(floors) / row["seconds"] if floors and max(floors) else None


def verdict(found: dict) -> tuple[int, int]:
    """How many comparisons failed, and of how many."""
    judged = [*found["checks"], *found["courses"]]
    return sum(not result["passed"] for result in judged), len(judged)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left")


def _verdict(result: dict) -> str:
    return "[green]ok[/]" if result["passed"] else "[red]FAILED[/]"


def tables(found: dict) -> list[Table]:
    """The results as tables; of the comparisons those that failed, or else those that came nearest to their limits."""
    shown = []
    if found.get("checks"):
        table = _table(
            "correctness", "comparison", "precision", "error", "limit", "bits repeat", ""
        )
        failed = [c for c in found["checks"] if not c["passed"]]
        for check in (
            failed
            or sorted(found["checks"], key=lambda c: -c["error"] / max(c["limit"], 1e-30))[:8]
        ):
            repeats = "yes" if check["repeats"] else "no"
            table.add_row(
                escape(check["name"]),
                check["precision"],
                f"{check['error']:.1e}",
                f"{check['limit']:.0e}",
                repeats,
                _verdict(check),
            )
        table.caption = f"{len(found['checks']) - len(failed)} of {len(found['checks'])} passed"
        shown.append(table)
    for kind, title in (("failures", "errors"), ("left_out", "left out")):
        if found.get(kind):
            table = _table(title, "part", "what", "why")
            for line in found[kind]:
                table.add_row(*(escape(line[key]) for key in ("part", "name", "message")))
            shown.append(table)
    if found.get("rows"):
        table = _table(
            "speed",
            "what",
            "precision",
            "ours",
            "PyTorch",
            "its way",
            "ratio",
            "TFLOP/s",
            "of the floor",
            "tile, parts, blocks per SM",
        )
        for r in found["rows"]:
            theirs, ratio = (
                (f"{r['torch'] * 1e6:,.1f} us", f"{r['ratio']:.2f}") if r["torch"] else ("", "")
            )
            rate = f"{r['flops'] / r['seconds'] / 1e12:.1f}" if r["flops"] else ""
            of_floor = f"{r['share']:.0%}" if r["share"] else ""
            table.add_row(
                r["name"],
                r["precision"],
                f"{r['seconds'] * 1e6:,.1f} us",
                theirs,
                r["way"] or "",
                ratio,
                rate,
                of_floor,
                _plan(r),
            )
        for text, mean in means(found["rows"]).items():
            table.add_row(
                f"[bold]geometric mean: {text}[/]",
                "",
                "",
                "",
                "",
                f"[bold]{mean:.2f}[/]",
                "",
                "",
                "",
            )
        shown.append(table)
    if found.get("courses"):
        table = _table(
            "learning",
            "training",
            "precision",
            "losses on the GPU",
            "on the CPU",
            "distance",
            "test accuracy",
            "",
        )
        for c in found["courses"]:
            losses = (" ".join(f"{v:.4f}" for v in c[side]) for side in ("gpu", "cpu"))
            table.add_row(
                c["name"],
                c["precision"],
                *losses,
                f"{c['distance']:.1e}",
                f"{c['accuracy']:.2%}",
                _verdict(c),
            )
        shown.append(table)
    if found.get("epochs"):
        table = _table("LeNet-5 by epochs", "epoch", "training loss", "test accuracy", "seconds")
        for e in found["epochs"]:
            table.add_row(
                f"{e['epoch']}",
                f"{e['train_loss']:.4f}",
                f"{e['test_accuracy']:.2%}",
                f"{e['seconds']:.2f}",
            )
        shown.append(table)
    for cause in found.get("causes", []):
        table = _table(
            f"the kernels of a step of {cause['name']}, {cause['precision']}",
            "kernel",
            "launches",
            "us",
            "share",
        )
        for name, count, microseconds in cause["kernels"]:
            table.add_row(
                escape(name),
                f"{count}",
                f"{microseconds:,.1f}",
                f"{microseconds / cause['microseconds']:.0%}",
            )
        shown.append(table)
    return shown


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
    """`gpu.json`, `gpu.md` and `gpu.png` in the folder, and PyTorch's rows, if it was measured, in `gpu-torch.json`."""
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
