"""Steps in the page that the tests and the tour share."""

import re

from .common import number

FORWARD = re.compile(r"y|x\d*")


def side_of(what):
    """The panel that an array is shown in."""
    return "forward" if FORWARD.fullmatch(what) else "backward"


def show(page, path, side, what):
    """Put an array of a layer into view, and return its canvases."""
    page.evaluate(
        "async ([p, s, w]) => {"
        " await select(p); stage.chosen[s] = w; await drawStage(); closeExplanation(); }",
        [path, side, what],
    )
    return page.locator(f"#{side} .maps canvas")


def shown(page, name):
    """A number of the explanation."""
    return number(page.locator(f'#explanation [data-value="{name}"]').inner_text())


def click(page, canvas, row, column, height, width):
    """Click a cell of a map. Returns the title of the explanation."""
    box = canvas.bounding_box()
    at = {"x": (column + 0.5) * box["width"] / width, "y": (row + 0.5) * box["height"] / height}
    title = page.locator("#explanation-title")
    before = title.inner_text() if title.count() else ""
    canvas.click(position=at)
    page.wait_for_function(
        "before => document.querySelector('#explanation-title')"
        " && document.querySelector('#explanation-title').innerText !== before",
        arg=before,
    )
    return title.inner_text()


def middle(sheet):
    """The row and the column of a cell away from the edges; a vector may end before the middle."""
    row = (sheet["height"] - 1) // 2 if sheet.get("length") else sheet["height"] // 2
    return row, sheet["width"] // 3


def index_in(title):
    """The place that the title of an explanation names: `"conv: y[0, 1, 2]"` is (0, 1, 2)."""
    return tuple(map(int, re.findall(r"\d+", title.rpartition("[")[2])))
