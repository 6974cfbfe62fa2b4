"""`minicnn vectors OUT` writes a file per operation."""

from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.study.vectors import OPERATIONS


def test_a_file_per_operation(tmp_path):
    result = CliRunner().invoke(app, ["vectors", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert result.output.startswith(f"{len(OPERATIONS)} operations")
    assert len(list((tmp_path / "new").glob("*.safetensors"))) == len(OPERATIONS)
