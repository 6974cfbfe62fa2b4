"""What was found, as tables for the terminal and for markdown."""

import statistics
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

NEAREST = 8  # comparisons that are shown if none failed
KERNELS = 12  # of a step that are shown
MAIN = "conv.cu", "conv_hopper.cu", "depthwise.cu"


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
        shown.append(_conditions(found["rows"], found["environment"].get("clock", "")))
    again = [row for row in found.get("torch", []) if _best(row, found["stored"])]
    if again:
        shown.append(_again(again, found["stored"]))
    if found.get("ablations"):
        shown.append(_ablations(found["ablations"]))
    if found.get("counters"):
        shown.append(_counters(found["counters"]))
    if found.get("courses"):
        shown.append(_courses(found["courses"]))
    if found.get("epochs"):
        shown.append(_epochs(found["epochs"]))
    return shown + _causes(found.get("causes", []))


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


def _causes(causes: list[dict]) -> list[Table]:
    """The groups of each step's kernels, ours beside PyTorch's; then the slowest kernels."""
    steps: dict[tuple[str, str], dict[str, dict]] = {}
    for cause in causes:
        steps.setdefault((cause["name"], cause["precision"]), {})[cause["side"]] = cause
    return [_step(name, precision, sides) for (name, precision), sides in steps.items()] + [
        _kernels(cause) for cause in causes
    ]


def _step(name: str, precision: str, sides: dict[str, dict]) -> Table:
    how = "; ".join(f"{side} by {cause['how']}" for side, cause in sides.items())
    table = _table(f"where a step's time goes: {name}, {precision} ({how})", "kernels")
    for side in sides:
        table.add_column(f"{side}, us")
        table.add_column("share")
    groups = {group: 0.0 for cause in sides.values() for group in cause["groups"]}
    for cause in sides.values():
        for group, seconds in cause["groups"].items():
            groups[group] = max(groups[group], seconds)
    rows = [(g, [c["groups"].get(g, 0.0) for c in sides.values()]) for g in groups]
    rows.sort(key=lambda each: -groups[each[0]])
    rows += [(key, [c[key] for c in sides.values()]) for key in ("gaps", "wall")]
    for text, seconds in rows:
        cells = []
        for each, cause in zip(seconds, sides.values(), strict=True):
            cells += [f"{each * 1e6:,.1f}", f"{each / cause['wall']:.0%}"]
        table.add_row({"gaps": "between kernels", "wall": "a replay"}.get(text, text), *cells)
    return table


def _kernels(cause: dict) -> Table:
    title = f"the kernels of a step of {cause['name']}, {cause['precision']}, {cause['side']}"
    table = _table(title, "kernel", "launches", "us", "share")
    for name, count, seconds in cause["kernels"][:KERNELS]:
        share_of_all = f"{seconds / cause['wall']:.0%}"
        table.add_row(escape(name), f"{count}", f"{seconds * 1e6:,.1f}", share_of_all)
    return table


def _plan(row: dict) -> str:
    return "; ".join(
        f"{p['tile']}, {p['splits']}, {p['blocks per SM']}" for p in row.get("plan", [])[:2]
    )


def _conditions(rows: list[dict], clock: str) -> Table:
    """How full the main launch of each row leaves the card, and the model's estimate.

    The main launch is that of a convolution, or else the one with the most threads.
    """
    columns = "kernel", "blocks", "waves", "last wave", "registers", "spilled", "shared"
    columns += "blocks at a time", "limit", "estimated us", "time / estimate"
    table = _table("what the kernels leave unused", "what", "precision", *columns)
    for r in rows:
        if not r.get("launches"):
            continue
        if "error" in r["launches"][0]:
            table.add_row(r["name"], r["precision"], escape(r["launches"][0]["error"]))
            continue
        of = max(r["launches"], key=_size)
        others = f" + {len(r['launches']) - 1}" if len(r["launches"]) > 1 else ""
        cells = f"{of['kernel']}{others}", f"{of['blocks']:,}", f"{of['waves']:.2f}"
        cells += f"{of['last wave']:.0%}", f"{of['registers']}", f"{of['spilled']}"
        cells += f"{of['shared']:,}", f"{of['blocks at a time']}", of["limit"]
        table.add_row(r["name"], r["precision"], *cells, *_estimate(r, clock))
    return table


def _size(launch: dict) -> tuple[bool, int]:
    return launch["file"] in MAIN, launch["blocks"] * launch["threads"]


def _estimate(row: dict, clock: str) -> tuple[str, str]:
    """The microseconds of the plans' cycles, and our time by them."""
    cycles = sum(p.get("cycles", 0) for p in row.get("plan", []))
    megahertz = float(clock.partition(" ")[0] or 0)
    if not cycles or not megahertz:
        return "", ""
    estimate = cycles / megahertz
    return f"{estimate:,.1f}", f"{row['seconds'] * 1e6 / estimate:.2f}"


def _best(row: dict, stored: Sequence[dict]) -> float | None:
    """The stored seconds of the same row of PyTorch."""
    same = [r["ways"] for r in stored if all(r[key] == row[key] for key in ("name", "precision"))]
    return min(min(ways.values()) for ways in same) if same else None


def _again(rows: list[dict], stored: Sequence[dict]) -> Table:
    """Stored rows that were measured again: far from 1, the others are not to be trusted."""
    table = _table("PyTorch's stored rows, measured again", "what", "precision", "us", "stored", "")
    for r in rows:
        now, then = min(r["ways"].values()), _best(r, stored) or 0.0
        times = f"{now * 1e6:,.1f}", f"{then * 1e6:,.1f}", f"{now / then:.2f}"
        table.add_row(r["name"], r["precision"], *times)
    return table


def _ablations(lines: list[dict]) -> Table:
    """The time of a convolution, and the shares of it that are left without each part."""
    left_out = [what for what in lines[0]["seconds"] if what != "nothing"]
    columns = [f"without {what}" for what in left_out]
    table = _table("what convolutions wait for", "what", "precision", "whole, us", *columns)
    for line in lines:
        whole = line["seconds"]["nothing"]
        shares = (f"{line['seconds'][what] / whole:.0%}" for what in left_out)
        table.add_row(line["name"], line["precision"], f"{whole * 1e6:,.1f}", *shares)
    return table


def _counters(lines: list[dict]) -> Table:
    table = _table("ncu", "what", "precision", "share of the peak", "warps wait for")
    for line in lines:
        shares = ", ".join(f"{name} {value:.0f} %" for name, value in line["shares"].items())
        stalls = ", ".join(f"{name} {value:.2f}" for name, value in line["stalls"].items())
        table.add_row(line["name"], line["precision"], shares or line["message"], stalls)
    return table


def means(rows: Sequence[dict]) -> dict[str, float]:
    """Group and precision -> the geometric mean of the ratios."""
    found: dict[str, list[float]] = {}
    for r in rows:
        if r["ratio"]:
            found.setdefault(f"{r['group']}, {r['precision']}", []).append(r["ratio"])
    return {text: statistics.geometric_mean(values) for text, values in found.items()}
