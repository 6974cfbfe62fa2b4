"""The page in a real browser: clicks, keys and numbers; skipped where there is no Chromium."""

import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from minicnn.study.explain import explain
from minicnn.study.explore import server
from minicnn.study.explore.export import export
from minicnn.study.explore.views import Views

from .clicks import click, index_in, middle, show, shown, side_of
from .common import nine_digits, number, other_layers, session

playwright = pytest.importorskip("playwright.sync_api", reason="pip install minicnn[browser]")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def serve(own):
    """A served session."""
    app = server.App(own)
    served = server.make(app)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    own.url = server.address(served, app)
    yield own
    app.training.pause()
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture(scope="module")
def own():
    with serve(session()) as served:
        yield served


@contextmanager
def opened(browser, own):
    """The page, ready; no error of a script, and no request to another host, is allowed."""
    found = browser.new_page(viewport={"width": 1500, "height": 1000})
    faults = []
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.on("console", lambda m: m.type == "error" and " 400 " not in m.text and faults.append(m))
    found.on("request", lambda r: r.url.startswith((own.url, "data:")) or faults.append(r.url))
    found.set_default_timeout(30_000)
    found.goto(own.url)
    found.wait_for_selector("body[data-ready]")
    yield found
    found.close()
    assert not faults


@pytest.fixture
def page(browser, own):
    own.choose("test", 0)
    with opened(browser, own) as found:
        yield found


def click_number(page, own, path, what):
    """Click a cell of an array, and compare the explanation with the engine's numbers."""
    record = own.trace[path]
    array = record.arrays()[what]
    side = side_of(what)
    canvases = show(page, path, side, what)
    sheet = page.evaluate(f"(() => $('{side}').view.sheet)()")
    row, column = middle(sheet)
    map_ = min(1, sheet["maps"] - 1)
    title = click(page, canvases.nth(map_), row, column, sheet["height"], sheet["width"])
    index = index_in(title) if array.ndim else ()
    assert index == expected_place(array.shape, what, map_, row, column, sheet["width"])
    found = explain(own.trace, path, what, index)
    assert shown(page, "engine") == nine_digits(found.engine)
    assert shown(page, "sum") == nine_digits(found.sum)
    if found.then:
        assert shown(page, "total") == nine_digits(found.total)
    assert page.locator("#explanation .terms tr").count() == min(100, len(found.terms))


def test_every_kind_of_layer_shows_the_numbers_of_the_engine(page, own):
    seen = set()
    for record in own.trace.records:
        for what in record.arrays():
            if what not in ("x", "x1", "dy") and record.path and (record.kind, what) not in seen:
                click_number(page, own, record.path, what)
                seen.add((record.kind, what))
    assert len(seen) >= 24


def test_arrays_with_other_axes(browser):
    """Maps in groups of channels, a row per pixel, weights that are no filters, and buffers."""
    with serve(session(other_layers(), "reference")) as own, opened(browser, own) as page:
        for path, what in (
            ("groups", "y"),
            ("shuffled", "dx"),
            ("points.pixels", "y"),
            ("points.pixels", "dx"),
            ("prelu", "w"),
            ("transposed", "w"),
            ("upsampled", "dx"),
        ):
            click_number(page, own, path, what)
        canvas = show(page, "prelu", "backward", "w").first  # 6 numbers: the last cell is empty
        box = canvas.bounding_box()
        canvas.click(position={"x": box["width"] - 5, "y": box["height"] - 5})
        assert page.locator("#explanation").is_hidden()
        show(page, "points.distances", "forward", "value.codes").first.click()
        message = page.locator("#message")
        message.wait_for()
        assert message.inner_text() == (
            "points.distances: codes is not trained: it has no gradient that could be explained"
        )


def expected_place(shape, what, map_, row, column, width):
    if not shape:
        return ()
    if what in ("y", "x2", "dx", "dx1", "dx2") and len(shape) >= 3:
        return (
            (0, row, column, *np.unravel_index(map_, shape[3:])) if shape[3:] else (0, row, column)
        )
    if len(shape) == 4:
        return (row, column, map_ % shape[2], map_ // shape[2])
    if len(shape) == 2 and what not in ("y", "dx"):
        return (column, row)
    return (*[0] * (len(shape) - 1), row * width + column)


def test_the_drawing_of_a_window_has_the_products(page, own):
    canvases = show(page, "block.body.conv", "forward", "y")
    click(page, canvases.nth(2), 3, 2, 6, 6)
    found = explain(own.trace, "block.body.conv", "y", (0, 3, 2, 2))
    map_ = page.evaluate("explanation.shown.map")
    terms = [t for t in found.terms if len(t.factors) == 2 and t.factors[0].index[3] == map_]
    grids = page.locator("#explanation .grid")
    for i, values in enumerate(
        (
            [t.factors[0].value for t in terms],
            [t.factors[1].value for t in terms],
            [t.value for t in terms],
        )
    ):
        cells = grids.nth(i).locator("td").all_inner_texts()
        assert [number(text) for text in cells] == pytest.approx(values, abs=6e-3)
    assert page.locator("#explanation .read .patch-here").count() == 1
    frame = page.locator("#explanation .patch-here").first.evaluate("e => e.style.cssText")
    assert "top: 33.3" in frame and "height: 50%" in frame and "left: 16.6" in frame


def test_the_winner_of_a_pool_and_the_way_back(page, own):
    canvases = show(page, "pool", "forward", "y")
    click(page, canvases.nth(0), 1, 1, 6, 6)
    window = own.trace["pool"].x[0, 2:4, 2:4, 0]
    won = page.locator("#explanation .terms tr:not(.unchosen)")
    assert won.count() == 1 and "selected" in won.inner_text()
    row, column = divmod(int(window.argmax()), 2)
    place = f"[0, {2 + row}, {2 + column}, 0]"
    assert f"x{place}" in won.inner_text()
    won.locator("button").click()
    page.wait_for_function("() => stage.path === 'norm' && document.querySelector('.mark')")
    assert page.locator("#explanation-title").inner_text() == f"norm: y{place}"
    page.get_by_label("Back to the number before").click()
    page.wait_for_function(
        "() => document.querySelector('#explanation-title').innerText.startsWith('pool')"
    )


def test_only_with_the_keyboard(page, own):
    page.locator("#slider").focus()
    first = page.evaluate("stage.path")
    page.keyboard.press("ArrowRight")
    assert (first, page.evaluate("stage.path")) == ("conv", "norm")
    page.wait_for_function("() => $('forward').view.layer.path === 'norm'")
    page.locator("#forward .maps canvas").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.locator("#explanation-title").inner_text() == "norm: y[0, 2, 1, 1]"
    assert page.evaluate("document.activeElement.id") == "explanation"
    page.keyboard.press("Escape")
    assert page.locator("#explanation").is_hidden()
    assert "map 1 of 4" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.locator('[data-path="norm"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("stage.path") == "pool"


def test_blocks_fold(page):
    assert page.locator('[data-path="block.body.bn"]').count() == 1
    page.get_by_label("Fold block", exact=True).click()
    assert page.locator('[data-path="block.body.bn"]').count() == 0
    edges = page.evaluate(
        """[...document.querySelectorAll(".folded .name, .folded .fold")]
        .map((e) => e.getBoundingClientRect())
        .map((box, i) => (i % 2 ? box.left : box.right))"""
    )
    assert edges[0] < edges[1], "the button covers the name"
    page.get_by_label("Unfold block", exact=True).click()
    assert page.locator('[data-path="block.body"]').count() == 1


def test_draw_drop_choose_and_step(page, own):
    page.click("#open-pad")
    box = page.locator(".pad").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 240, steps=3)
    page.mouse.up()
    page.wait_for_function("() => app.state.image.text === 'your drawing'")
    assert own.picture.pixels[6, 6, 0] > 100 and own.picture.pixels[6, 1, 0] == 0
    page.keyboard.press("Escape")
    page.set_input_files(
        "#file", files=[{"name": "no.png", "mimeType": "image/png", "buffer": b"no"}]
    )
    page.wait_for_selector("#message:not([hidden])")
    assert "no.png: it cannot be read as an image" in page.locator("#message").inner_text()
    page.click("#open-gallery")
    page.get_by_label("test image 3:").click()
    page.wait_for_function("() => app.state.image.index === 3")
    page.click("#step")
    page.wait_for_selector("#step-result table")
    before, after = (
        number(page.locator("#step-result tr").nth(1).locator("td").nth(i).inner_text())
        for i in range(2)
    )
    assert after < before
    assert after == pytest.approx(own.state()["loss"], abs=1e-5)
    page.get_by_text("Restore the weights").first.click()
    page.wait_for_function("() => app.state.steps === 0")


def test_training_moves(page, own):
    page.click("#tab-training")
    page.click("#train")
    page.wait_for_function("() => training.last > 3 && app.state.version > 3")
    page.click("#train")
    page.wait_for_function("() => !training.running")
    assert "mean loss" in page.locator("#train-text").inner_text()
    own.restore()


def test_what_matters_and_the_mistakes(page, own):
    page.click("#tab-look")
    page.click("#look")
    page.wait_for_selector("#look-result canvas")
    text = page.locator("#look-result figcaption").nth(1).inner_text()
    assert text == f"for class {own.state()['top'][0]['name']}"
    page.click("#tab-wrong")
    page.click("#find-wrong")
    page.wait_for_selector("#wrong-result p")
    count = Views(own).mistakes("test")["count"]
    assert f"{count} of 40 images wrong" in page.locator("#wrong-result").inner_text()


def test_a_narrow_screen(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate(
        """() => {
          app.state.classes[3] = app.state.top[0].name = "black-and-tan coonhound, a long name";
          app.state.image.text = "a_file_with_a_long_name_and_no_space_in_it.jpeg";
          $("label").replaceChildren();
          drawPicture();
        }"""
    )
    canvases = show(page, "conv", "forward", "y")
    click(page, canvases.nth(0), 2, 2, 12, 12)
    for part in ("document.documentElement", "$('explanation')"):
        wide = page.evaluate(f"{part}.scrollWidth - {part}.clientWidth")
        assert wide <= 1, part
    box = page.locator("#explanation").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] > 300


@pytest.mark.parametrize("value", [651073.3125, -651073.3125, 1 / 3, -2e-9 / 3, float("inf")])
def test_nine_digits_are_those_of_the_page(page, value):
    shown = page.evaluate(
        "(text) => format(Number(text), 9)", str(value).replace("inf", "Infinity")
    )
    assert number(shown) == nine_digits(value)


def test_everything_has_a_name(page):
    show(page, "conv", "forward", "y")
    click(page, page.locator("#forward .maps canvas").nth(0), 2, 2, 12, 12)
    for tab in ("step", "training", "look", "wrong"):
        page.click(f"#tab-{tab}")
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, img, dialog, [role]")]
        .filter((e) => !e.closest("[aria-hidden]") && !e.getAttribute("aria-label")
          && !e.getAttribute("aria-labelledby") && !e.labels?.length && !e.alt
          && !e.textContent.trim() && e.id !== "message" && !e.hidden)
        .map((e) => e.outerHTML)"""
    )
    assert unnamed == []


def test_an_exported_page_works_from_a_folder(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("minicnn.study.explore.export.MOST_CELLS", 16)
    own = session()
    path = export(own, tmp_path, [("test", 3), ("test", 4)])
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    page.get_by_label("digits, test image 4").click()
    page.wait_for_function("() => app.state.image.index === 4")
    assert page.locator(".live:visible").count() == 0
    canvases = show(page, "block.body.conv", "forward", "y")
    click(page, canvases.nth(0), 3, 3, 6, 6)
    found = explain(own.trace, "block.body.conv", "y", (0, 3, 3, 0))
    assert shown(page, "engine") == nine_digits(found.engine)
    assert shown(page, "sum") == nine_digits(found.sum)
    link = page.locator("#explanation .terms button.link", has_text="x[").first
    text = link.inner_text()
    link.click()
    page.wait_for_function("() => stage.path === 'pool' && document.querySelector('.mark')")
    assert page.locator("#explanation-title").inner_text() == f"pool: {text.replace('x', 'y')}"
    page.keyboard.press("Escape")
    show(page, "block.body.conv", "forward", "y").nth(3).click(position={"x": 2, "y": 2})
    page.wait_for_selector("#message:not([hidden])")
    assert "only the cells that have a dot" in page.locator("#message").inner_text()
    page.close()
    assert not faults
