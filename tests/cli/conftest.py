"""The command line within the process of the tests: what it prints, and how it ends."""

import sys

import pytest

from minicnn import cli


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `minicnn ...` in an empty folder; returns its output, or its error if `code` is not 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, code=0):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["minicnn", *map(str, arguments)])
        try:
            found = cli.main() or 0
        except SystemExit as ended:
            found = ended.code or 0
        out, error = capsys.readouterr()
        assert found == code, out + error
        assert "Traceback" not in out + error
        return out if code == 0 else error

    return run
