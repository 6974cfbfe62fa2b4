"""Progress in a notebook: one output that is redrawn, with a bar and the table of the epochs."""

import io

import numpy as np
import pytest
from rich.console import Console

from minicnn import training
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training import notebook
from minicnn.training.callbacks import LogLines, ProgressBar

X = np.random.default_rng(0).random((16, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(16) % 2


class Output:
    """What IPython's display returns; it keeps what is shown."""

    def __init__(self, page, raw, display_id):
        assert raw and display_id
        self.pages = [page]

    def update(self, page, raw):
        self.pages.append(page)


@pytest.fixture
def pages(monkeypatch):
    shown = []
    display = pytest.importorskip("IPython.display")

    def make(*arguments, **options):
        shown.append(Output(*arguments, **options))
        return shown[-1]

    monkeypatch.setattr(display, "display", make)
    monkeypatch.setattr(notebook, "REDRAW_SECONDS", 0)
    model = Sequential(Flatten(), Linear(16, 2))
    options = {"epochs": 2, "batch_size": 4, "progress": False}
    progress = notebook.NotebookProgress()
    history = training.fit(model, (X, LABELS), (X, LABELS), callbacks=[progress], **options)
    (output,) = shown
    return [page["text/html"] for page in output.pages], history


def test_the_bar_moves_and_the_table_grows(pages):
    pages, history = pages
    assert len(pages) == 1 + 2 * (4 + 1) + 1  # start, each step and epoch, end
    assert '<progress value="0" max="4">' in pages[0]
    assert '<progress value="3" max="4">' in pages[3] and "epoch 1/2: step 3/4, loss 0." in pages[3]
    assert "epoch 2/2" in pages[6]
    assert [page.count("<tr>") for page in pages[4:7]] == [0, 2, 2]
    assert pages[-1] == history._repr_html_()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"force_jupyter": True}, notebook.NotebookProgress),
        ({"force_terminal": True}, ProgressBar),
        ({"force_jupyter": False}, LogLines),
    ],
)
def test_default_progress(options, expected, monkeypatch):
    monkeypatch.setattr(notebook, "Console", lambda: Console(file=io.StringIO(), **options))
    assert type(notebook.default_progress()) is expected
