"""The history as a table."""

import pytest

from minicnn.errors import CheckpointError
from minicnn.training import History
from minicnn.training.history import COLUMNS

ROW = dict(zip(COLUMNS, (1, 0.5, 0.75, *[None] * 6, 0.01, 2.0, 1500.0), strict=True))


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
    assert ">train loss</th>" in html
    assert ">0.5000</td>" in html
    assert "no finished epoch" in History()._repr_html_()


def test_a_run_is_read_back(tmp_path):
    rows = [
        ROW | {"test_loss": 0.6, "test_accuracy": accuracy, "epoch": epoch}
        for epoch, accuracy in ((1, 0.7), (2, 0.8125), (3, 0.8125))
    ]
    History(rows).save_csv(tmp_path / "history.csv")
    for place in (tmp_path, str(tmp_path / "history.csv")):
        found = History.read(place)
        assert found.rows == rows  # every digit, and the types
        assert found.best_epoch == 2
        assert str(found) == str(History(rows))


def test_the_best_epoch_is_chosen_as_in_training(tmp_path):
    rows = [ROW | {"epoch": 1, "train_loss": 0.3}, ROW | {"epoch": 2, "train_loss": 0.4}]
    History(rows).save_csv(tmp_path / "history.csv")
    assert History.read(tmp_path).best_epoch == 1
    rows = [row | {"test_accuracy": 0.5, "validation_accuracy": row["train_loss"]} for row in rows]
    History(rows).save_csv(tmp_path / "history.csv")
    assert History.read(tmp_path).best_epoch == 2


def test_files_of_older_versions_are_read(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,train_loss,train_accuracy,extra\n1,2.5,0.25,7\n")
    assert History.read(tmp_path).rows == [
        dict.fromkeys(COLUMNS) | {"epoch": 1, "train_loss": 2.5, "train_accuracy": 0.25}
    ]


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (b"", "there is no finished epoch"),
        (b"epoch,train_loss,train_accuracy\n", "there is no finished epoch"),
        (b"a,b\n1,2\n", "line 2: epoch is missing"),
        (b"epoch,train_loss,train_accuracy\n1,2.5,0.25\n2,2.4\n", "line 3: train_accuracy is mis"),
        (b"epoch,train_loss,train_accuracy\n1,many,0.25\n", "line 2: train_loss is 'many'; expe"),
        (b"epoch,train_loss,train_accuracy\n1.5,2.5,0.25\n", "line 2: epoch is '1.5'"),
        (
            b"epoch,train_loss,train_accuracy\n1,2.5,25\n",
            "line 2: train_accuracy is 25; expected a",
        ),
        (b"epoch,train_loss,train_accuracy\n0,2.5,0.25\n", "line 2: epoch is 0; expected more th"),
        (b"epoch,train_loss,train_accuracy\n2,2,0.2\n2,2,0.2\n", "line 3: epoch is 2; expected mo"),
        (b"\xff\xfe\x00", "it is no text; expected the folder of a run"),
    ],
)
def test_other_files_are_named(tmp_path, contents, expected):
    path = tmp_path / "history.csv"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=f"history.csv: {expected}"):
        History.read(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"it has no history.csv, which a run writes after"):
        History.read(tmp_path)
    with pytest.raises(CheckpointError, match="nowhere: there is no such file or folder"):
        History.read(tmp_path / "nowhere")
