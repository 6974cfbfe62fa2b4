"""docs/ablations.md: it is current, and never has a number without a run."""

from minicnn.study.ablation import claims
from tools import ablations

from ..study.ablation.test_ablation import lrn


def test_document_is_current():
    written = ablations.PAGE.read_text(encoding="utf-8")
    assert ablations.document() == written, "run: python -m tools.ablations"


def test_rows_without_results():
    text = ablations.overview({})
    assert text.count("| not run yet |") == sum(len(c.statements) for c in claims().values())
    assert "Not run yet: `minicnn ablate relu`" in ablations.section(claims()["relu"], None)


def test_rows_with_results():
    found = lrn((0.10, 0.11, 0.12), (0.20, 0.21, 0.22))
    text = ablations.overview({"lrn": found})
    assert "holds: lrn-0.01 is 10.00 points below none-0.01 (95 % interval 7.73 to 12.27) |" in text
    text = ablations.section(claims()["lrn"], found)
    assert "| lrn-0.01 | test error | 11.00 % | 10.00 % | 12.00 % | 3 |" in text
    assert "commit abc" in text
