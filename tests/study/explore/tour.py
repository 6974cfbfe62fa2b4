"""Click every kind of layer of whole networks in a browser, and compare with the engine.

    python -m tests.study.explore.tour mobilenet_v2 densenet121 net.safetensors [--out FOLDER]

Of each kind of layer one cell of every array is clicked. The page must show the numbers of
`study.explain` to the last printed digit. Screenshots go into the folder. It takes minutes, so that
it is no test.
"""

import argparse
import gc
import shutil
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from minicnn.cli.app import find_network
from minicnn.study.explain import explain
from minicnn.study.explore import Gallery, Session, server
from minicnn.study.explore.arrays import has_maps

from .clicks import click, index_in, middle, show, shown, side_of
from .common import nine_digits

TIMED = """async ([path, what, index]) => {
  const begin = performance.now();
  await openExplanation(path, what, index);
  return performance.now() - begin;
}"""
MOST_CELLS = 4e6  # as in sheets.js
WIDE, NARROW = {"width": 1500, "height": 1000}, {"width": 360, "height": 740}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", help="names, or files of weights")
    parser.add_argument("--out", type=Path, default=Path("tour"), help="for the screenshots")
    parser.add_argument("--backend", help="the backend to compute with")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as started:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name in options.networks:
            network = find_network(name, None, None, 0)
            tour(browser, name, network, options)
        browser.close()


def tour(browser, name, network, options):
    """One network: the live page, and the exported one."""
    session = Session(network, Gallery(network, {}), options.backend)
    session.retrace()
    gc.collect()
    gc.freeze()  # as `minicnn explore` does
    app = server.App(session)
    served = server.make(app)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    page = browser.new_page(viewport=WIDE)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(10_000)
    begin = time.perf_counter()
    page.goto(server.address(served, app))
    page.wait_for_selector("body[data-ready]")
    first = time.perf_counter() - begin
    short = Path(name).stem
    page.screenshot(path=options.out / f"{short}.png")
    seen = {}
    for record in session.trace.records:
        for what, array in record.arrays().items():
            if (record.kind, what) in seen or not record.path:
                continue
            try:
                seen[record.kind, what] = one_click(page, session, record, what, array)
            except Exception as error:
                text = page.locator("#message").inner_text()
                faults.append(f"{record.path} ({record.kind}) {what} {array.shape}: {error} {text}")
                seen[record.kind, what] = 0.0
    page.screenshot(path=options.out / f"{short}-clicked.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=options.out / f"{short}-dark.png")
    page.emulate_media(color_scheme="light")
    page.evaluate("closeExplanation()")
    page.set_viewport_size(NARROW)
    page.screenshot(path=options.out / f"{short}-narrow.png", full_page=True)
    page.close()
    served.shutdown()
    served.server_close()
    kinds = len({kind for kind, _ in seen})
    print(
        f"{name}: {len(session.trace.records)} records, first view {first:.1f} s, {kinds} kinds,",
        end=" ",
    )
    slowest = sorted(seen, key=seen.get)[-1:-4:-1]
    times = ", ".join(f"{seen[one] * 1000:.0f} ms {' '.join(one)}" for one in slowest)
    print(f"{len(seen)} clicks, the slowest {times}")
    for fault in faults:
        print("   ", fault)


def one_click(page, session, record, what, array):
    """Click a cell of an array, and compare. Returns the seconds until the sum is shown."""
    index = clicked_index(page, record, what, array)
    seconds = page.evaluate(TIMED, [record.path, what, list(index)]) / 1000
    if what in ("x", "dy"):
        return seconds  # the page goes on to the layer that it comes from
    found = explain(session.trace, record.path, what, index)
    assert found.kind != "none", found.note
    pairs = {"engine": found.engine, "sum": found.sum, "total": found.total}
    for name, value in pairs.items():
        if name != "total" or found.then:
            assert shown(page, name) == nine_digits(value), (found.title, name, value)
    return seconds


def clicked_index(page, record, what, array):
    """The place in the array of the cell that is clicked; of a matrix too large to draw, some."""
    side = side_of(what)
    canvases = show(page, record.path, side, what)
    if array.size > MOST_CELLS and not has_maps(array, what):
        assert "too many to draw" in page.locator("#message").inner_text()
        return tuple(n // 2 for n in array.shape)
    sheet = page.evaluate(f"(() => $('{side}').view.sheet)()")
    row, column = middle(sheet)
    canvas = canvases.nth(min(1, sheet["maps"] - 1))
    title = click(page, canvas, row, column, sheet["height"], sheet["width"])
    return index_in(title) if array.ndim else ()


if __name__ == "__main__":
    main()
