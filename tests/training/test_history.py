"""The history as a table."""

from minicnn.training import History
from minicnn.training.history import COLUMNS

ROW = dict(
    zip(COLUMNS, (1, 0.5, 0.75, None, None, None, None, None, 0.01, 2.0, 1500.0), strict=True)
)


def test_text():
    history = History([ROW, ROW | {"epoch": 2, "train_loss": 0.25}])
    head, first, second = str(history).splitlines()
    assert head.split() == [
        "epoch",
        "train",
        "loss",
        "train",
        "accuracy",
        "learning",
        "rate",
        "seconds",
        "images",
        "per",
        "second",
    ]
    assert first.split() == ["1", "0.5000", "75.00%", "0.01", "2.0", "1,500"]
    assert second.split()[:2] == ["2", "0.2500"]
    assert len({len(line) for line in (head, first, second)}) == 1
    assert str(History()) == repr(History()) == "History(no finished epoch)"


def test_html():
    html = History([ROW])._repr_html_()
    assert html.count("<tr>") == 2
    assert "<th>train loss</th>" in html
    assert "<td>0.5000</td>" in html
    assert "no finished epoch" in History()._repr_html_()
