"""The command line within the process of the tests: what it prints, and how it ends."""

import sys

import pytest

from minicnn import cli, data, models, training


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


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a run in which LeNet-5 was trained on the digits for four epochs."""
    out = tmp_path_factory.mktemp("trained") / "run"
    training.fit(models.create("lenet5", seed=0), *data.digits(), epochs=4, out=out, progress=False)
    return out
