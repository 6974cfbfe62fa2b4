"""How fast the explorer's page is: the start, the first view of a network, a click on a number.

    python benchmarks/explore.py [resnet50 resnet152 densenet121] [--threads N] [--publish]

Needs playwright (`pip install minicnn[browser]`) and a Chromium of the system. The server and the
browser share the cores. Times are seconds: from the command `minicnn explore NAME` to its address,
with imports, new weights and the pass of the first image; from the address to the first view with
all maps of the first layer; and, measured in the page, from a click on a cell until its explanation
is drawn. The clicks are on outputs, input gradients and gradients of weights of several layers,
among them the first convolution, whose weights have the longest sums.
Writes explore.{json,md}.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
CLICKS = 24  # about as many layers, evenly spaced

# Seconds from the next click to the end of the frame that shows its explanation.
WATCH = """() => {
  window.answered = new Promise((done) => {
    let clicked;
    const panel = document.getElementById("explanation");
    const start = () => (clicked = performance.now());
    document.addEventListener("click", start, { capture: true, once: true });
    new MutationObserver((_, observer) => {
      if (panel.hidden) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => done((performance.now() - clicked) / 1000)));
    }).observe(panel, { attributes: true, childList: true, subtree: true });
  });
}"""


def clicks(page: Page) -> dict[str, float]:
    """The seconds from a click to the explanation, for arrays of several layers."""
    layers = page.evaluate("app.state.layers.filter(l => l.arrays.y?.length === 4)")
    found = {}
    for layer in layers[:: max(1, len(layers) // CLICKS)]:
        for side, what in (("forward", "y"), ("backward", "dx"), ("backward", "w")):
            if what not in layer["arrays"]:
                continue
            page.evaluate(
                "async ([p, s, w]) => {await select(p); stage.chosen[s] = w; await drawStage();}",
                [layer["path"], side, what],
            )
            cell = page.locator(f"#{side} .maps canvas").first
            cell.scroll_into_view_if_needed()
            page.evaluate(WATCH)
            cell.click()
            found[f"{layer['path']} {what}"] = page.evaluate("answered")
            page.evaluate("closeExplanation()")
    return found


@contextmanager
def served(name: str, threads: int) -> Iterator[str]:
    """The address that `minicnn explore` prints; the command ends with the block."""
    command = [sys.executable, "-um", "minicnn", "explore", name, "--no-browser"]
    limits = {"NUMBA_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, env=os.environ | limits, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            found = (re.search(r"http://\S+", line) for line in process.stdout or ())
            address = next(filter(None, found), None)
            if address is None:
                sys.exit(f"{name}: `minicnn explore` has printed no address")
            yield address.group()
        finally:
            process.terminate()


def measure(browser: Browser, name: str, threads: int) -> dict:
    """The times of one network."""
    started = time.perf_counter()
    with served(name, threads) as address:
        result = {"network": name, "address": time.perf_counter() - started}
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        started = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("body[data-ready]", timeout=120_000)
        result["first view"] = time.perf_counter() - started
        times = clicks(page)
        page.close()
    slowest = max(times, key=times.__getitem__)
    return result | {
        "clicks": len(times),
        "click, median": statistics.median(times.values()),
        "click, maximum": times[slowest],
        "the slowest": slowest,
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=["resnet50", "resnet152", "densenet121"])
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        rows = [measure(browser, name, options.threads) for name in options.networks]
        browser.close()
    headings = list(rows[0])
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    for row in rows:
        cells = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    common.report("explore", "\n".join(lines), options, {"rows": rows})


if __name__ == "__main__":
    main()
