"""The ledger is current, and covers every network."""

import json
from pathlib import Path

import pytest

from minicnn import models, registry
from minicnn.models import fidelity

DOCS = Path(__file__).parents[2] / "docs"


def test_document_is_current():
    twins = DOCS / "twins.json"
    measured = json.loads(twins.read_text()) if twins.exists() else None
    written = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    assert written == fidelity.document(measured), "run: python -m minicnn.models.fidelity"


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_in_the_ledger(name):
    module = registry.entry(name).build.__module__.rpartition(".")[2]
    assert any(module in modules.split() for modules, _ in fidelity.LEDGER.values())
    assert f"| `{name}` |" in (DOCS / "fidelity.md").read_text(encoding="utf-8")
