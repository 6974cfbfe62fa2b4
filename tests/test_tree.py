"""The structure: what tools/guards.py reports, and tests that mirror the tree."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import guards

ROOT = Path(__file__).parents[1]
# Test files that have no source file of the same name; each line here is to go.
NOT_MIRRORED = {
    "tests/cuda/test_compile.py",
    "tests/cuda/test_emulated.py",
    "tests/cuda/test_instructions.py",
    "tests/cuda/test_ladder.py",
    "tests/cuda/test_numba_cuda.py",
    "tests/cuda/test_races.py",
    "tests/cuda/test_training.py",
    "tests/cuda/test_verify.py",
    "tests/data/test_damage.py",
    "tests/data/test_data.py",
    "tests/kernels/test_against_torch.py",
    "tests/kernels/test_cpu.py",
    "tests/kernels/test_dropout.py",
    "tests/kernels/test_memory.py",
    "tests/kernels/test_mutants.py",
    "tests/kernels/test_optim.py",
    "tests/layers/test_compose.py",
    "tests/layers/test_layers.py",
    "tests/models/test_counts.py",
    "tests/models/test_fidelity.py",
    "tests/models/test_starts.py",
    "tests/models/test_twins.py",
    "tests/study/test_study.py",
    "tests/test_docs.py",
    "tests/test_tree.py",
    "tests/weights/test_torch.py",
}


def test_guards_hold():
    """No measure of the structure is beyond its limit."""
    command = [sys.executable, ROOT / "tools" / "guards.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") > len(guards.AT_MOST) + len(guards.AT_LEAST)


def modules(tmp_path, **sources):
    """The modules of a small package: `kernels__conv="..."` is kernels/conv.py."""
    for folder in guards.STOREYS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    for name, source in sources.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return guards.read_modules()


def test_guards_see_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "ROOT", tmp_path)
    found = modules(
        tmp_path,
        kernels__conv="from ..layers import linear\n",
        minicnn__layers="def f():\n    from .kernels import conv\n",
        minicnn__weights="import importlib\nimportlib.import_module('minicnn.models')\n",
        minicnn__cli="from . import models\n",
        minicnn__verify="from tests.models import twins\nimport torch.nn\n",
        models__lenet="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
    )
    assert guards.circles(found) == ["minicnn.kernels.conv <-> minicnn.layers"]
    assert guards.upward_imports(found) == [
        "kernels/conv.py:1 imports minicnn.layers",
        "minicnn/weights.py:2 imports minicnn.models",
    ]
    assert guards.foreign_imports(found) == [
        "minicnn/verify.py:1 imports tests.models",
        "minicnn/verify.py:2 imports torch.nn",
    ]


def test_guards_count_annotations(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "ROOT", tmp_path)
    source = "class A:\n    def __init__(self, x): ...\n    def f(self, x: int) -> int: ...\n"
    found = modules(tmp_path, kernels__a=source + "def _g(x): ...\ndef h(*x: int): ...\n")
    assert guards.annotated_share(found, "minicnn.kernels") == pytest.approx(100 * 3 / 5)


def mirrored(test: Path) -> bool:
    """Whether the source with this test's name is where the test's folder says."""
    folder = test.parent.relative_to(ROOT / "tests")
    name = test.stem.removeprefix("test_")
    if folder.parts[:1] == ("kernels",):
        rest = Path(*folder.parts[1:])
        below = ["", "reference"] if rest == Path() else [""]
        roots = [ROOT / "kernels" / rest / b for b in below]
    elif folder.parts[:1] == ("models",):
        roots = [ROOT / "models" / Path(*folder.parts[1:])]
    elif folder == Path("cuda"):
        roots = [ROOT / "kernels" / "cuda", ROOT / "kernels" / "ladder" / "gpu"]
    else:
        roots = [ROOT / folder, ROOT / "minicnn" / folder]
    return any((root / f"{name}.py").exists() or (root / name).is_dir() for root in roots)


def test_tests_mirror_the_tree():
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    names = {path.relative_to(ROOT).as_posix(): mirrored(path) for path in files}
    assert len(names) > 20
    strays = {name for name, is_mirrored in names.items() if not is_mirrored}
    assert strays <= NOT_MIRRORED, f"no source file for {sorted(strays - NOT_MIRRORED)}"
