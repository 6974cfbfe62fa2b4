"""Every network's parameters and multiply-accumulates, exactly."""

import pytest

from minicnn import models

from .counts import COUNTS
from .tables import table


@pytest.mark.parametrize(
    ("name", "options", "shape", "parameters", "macs", "fixed"),
    COUNTS,
    ids=[f"{row[0]}-{'-'.join(map(str, row[1].values()))}" for row in COUNTS],
)
def test_counts(name, options, shape, parameters, macs, fixed):
    found = table(name, **options)
    assert (found.input, found.parameters, found.fixed) == (shape, parameters, fixed)
    assert macs in (None, found.macs)


def test_every_network_is_counted():
    assert set(models.names()) == {row[0] for row in COUNTS}
