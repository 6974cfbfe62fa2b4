"""The application: every file with a command is imported, so that the command exists."""

import re
from pathlib import Path

from minicnn import cli

FOLDER = Path(cli.__file__).parent


def test_every_file_with_a_command_is_imported():
    pattern = re.compile(r"^@app\.command\(", re.MULTILINE)
    files = {p.stem for p in FOLDER.glob("*.py") if pattern.search(p.read_text(encoding="utf-8"))}
    assert len(files) > 8
    assert files <= set(cli.__all__)


def test_errors_of_the_system_have_no_number(run, tmp_path):
    (tmp_path / "a file").write_text("")
    assert run("vectors", "a file", code=2).startswith("minicnn: a file: File exists  (--debug")
