"""How fast the explorer's page is: the first view of a network, and a click on a number.

    python benchmarks/explore.py [resnet50 resnet152] [--threads N] [--publish]

Needs playwright (`pip install minicnn[browser]`) and a Chromium of the system. The server and the
browser share the cores. Times are seconds: the traced pass, from the address to the first view with
all maps of the first layer, and, measured in the page, from a click on a cell until its explanation
is drawn, over several layers.
Writes explore.{json,md}.
"""

import gc
import shutil
import statistics
import threading
import time

import common
from playwright.sync_api import Page, sync_playwright

from minicnn import models, set_num_threads
from minicnn.study.explore import Gallery, Session, server

CLICKS = 24

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


def clicks(page: Page) -> list[float]:
    """The seconds from a click to the explanation, for outputs and gradients of several layers."""
    paths = page.evaluate("app.state.layers.filter(l => l.arrays.y?.length === 4).map(l => l.path)")
    found = []
    for path in paths[:: max(1, 2 * len(paths) // CLICKS)]:
        for side, what in (("forward", "y"), ("backward", "dx")):
            page.evaluate(
                "async ([p, s, w]) => {await select(p); stage.chosen[s] = w; await drawStage();}",
                [path, side, what],
            )
            cell = page.locator(f"#{side} .maps canvas").first
            cell.scroll_into_view_if_needed()
            page.evaluate(WATCH)
            cell.click(position={"x": 40, "y": 40})
            found.append(page.evaluate("answered"))
            page.evaluate("closeExplanation()")
    return found


def measure(name: str) -> dict:
    model = models.create(name, seed=0)
    session = Session(model, Gallery(model, {}))
    session.retrace()
    started = time.perf_counter()
    session.retrace()
    result = {"network": name, "pass": time.perf_counter() - started}
    app = server.App(session)
    served = server.make(app)
    gc.collect()
    gc.freeze()  # as the command does
    threading.Thread(target=served.serve_forever, daemon=True).start()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as started_playwright:
        browser = started_playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        started = time.perf_counter()
        page.goto(server.address(served, app))
        page.wait_for_selector("body[data-ready]", timeout=120_000)
        result["first view"] = time.perf_counter() - started
        times = clicks(page)
        browser.close()
    served.shutdown()
    served.server_close()
    return result | {
        "click, median": statistics.median(times),
        "click, maximum": max(times),
        "clicks": len(times),
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=["resnet50", "resnet152"])
    options = parser.parse_args()
    set_num_threads(options.threads)
    rows = [measure(name) for name in options.networks]
    headings = list(rows[0])
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    for row in rows:
        cells = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    common.report("explore", "\n".join(lines), options, {"rows": rows})


if __name__ == "__main__":
    main()
