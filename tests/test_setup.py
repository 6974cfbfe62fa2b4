"""The wheel has every package and its data: what is built is what is in the tree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_BYTES = 4_500_000  # unpacked; the compressed wheel has less than half


def test_the_course_and_the_documents_are_installed(tmp_path):
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = tmp_path / "minicnn"
    for folder, pattern in (("examples", "*.py"), ("examples", "*.ipynb"), ("docs", "*.md")):
        expected = {path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern)}
        found = {path.relative_to(built) for path in (built / folder).rglob(pattern)}
        assert found == expected
    assert len(list(built.rglob("*.ipynb"))) == 12
    assert not list(built.glob("docs/images/*"))  # they are on the page of the project
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < MOST_BYTES
