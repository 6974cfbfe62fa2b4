"""The picture of an ablation."""

from minicnn.study.ablation.picture import picture, seeds_text

from .test_ablation import ablation, lrn, trial


def test_picture(tmp_path):
    found = lrn((0.1, 0.12), (0.2, 0.23))
    path = picture(found, tmp_path / "a.png")
    assert path.stat().st_size > 10_000
    figure = picture(found)
    left, right = figure.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("training error", "test error")
    assert len(right.collections) == 2  # the spread of two variants
    assert "seeds 0 to 1" in figure.get_suptitle()


def test_failed_and_single_runs():
    runs = [trial(0, (0.5,), train=(0.6,)), trial(1, (0.9,), train=(0.9,), failure="nan")]
    found = ablation(
        "lrn", **{"lrn-0.01": runs, "none-0.01": [trial(0, (), train=(), failure="nan")]}
    )
    figure = picture(found)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["lrn-0.01 (1 failed)", "none-0.01 (1 failed)"]
    assert seeds_text(lrn((0.1,), (0.2,))) == "seed 0"
