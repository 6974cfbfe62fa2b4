"""The API reference: its modules exist, and are what a user imports."""

import importlib

import pytest

from tools.site import api


@pytest.mark.parametrize("module", api.PAGES)
def test_a_module(module):
    assert importlib.import_module(module).__doc__
    assert f"::: {module}\n" in api.page(module)
    assert f"]({module}.md)" in api.index()
    assert api.page_place(module) == f"api/{module}.md"
