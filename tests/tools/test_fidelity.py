"""docs/fidelity.md is current, and covers every network."""

import pytest

from minicnn import models, registry
from tools import fidelity

WRITTEN = (fidelity.DOCS / "fidelity.md").read_text(encoding="utf-8")


def test_document_is_current():
    assert fidelity.document() == WRITTEN, "run: python -m tools.fidelity"


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_in_the_document(name):
    assert registry.entry(name).build.__module__.rpartition(".")[2] in fidelity.statements()
    assert WRITTEN.count(f"| `{name}` |") == 2  # with its statements, and with its twin


def test_every_section_belongs_to_a_file():
    modules = {registry.entry(name).build.__module__ for name in models.names()}
    files = {m.rpartition(".")[2] for m in modules if m.startswith("minicnn.")}  # no test's own
    assert set(fidelity.statements()) == files


def test_statements_are_complete():
    for file, section in fidelity.statements().items():
        assert section["points"], file
        for point in section["points"]:
            assert set(point) == {"source", "says", "here"}, (file, point)
            assert all(point.values()), (file, point)


def test_a_cell_cannot_break_the_table():
    assert fidelity.row("a|b", "c") == "| a\\|b | c |"
