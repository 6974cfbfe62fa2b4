"""The structure: what tools/guards.py reports, and tests that mirror the tree."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools import guards

ROOT = Path(__file__).parents[1]
NOT_MIRRORED = {  # tests of more than one source file, with the reason
    "tests/caffe/test_damage.py": "damaged files, through every part that reads them",
    "tests/cuda/test_compile.py": "every .cu file is compiled",
    "tests/cuda/test_emulated.py": "every operation of the backend runs on the emulated GPU",
    "tests/cuda/test_instructions.py": "the machine code of every kernel",
    "tests/cuda/test_ladder.py": "the rungs of kernels/ladder/gpu run on the emulated GPU",
    "tests/cuda/test_look.py": "study/look on the emulated GPU",
    "tests/cuda/test_numba_cuda.py": "every operation of a second backend",
    "tests/cuda/test_races.py": "every kernel, with its barriers removed one by one",
    "tests/cuda/test_verify.py": "the program benchmarks/gpu",
    "tests/cuda/test_measurements.py": "the program benchmarks/gpu",
    "tests/kernels/cpu/direct/test_prefetch.py": "what every direct kernel fetches ahead",
    "tests/models/test_counts.py": "every network: one table of parameters and operations",
    "tests/models/test_twins.py": "every network against torch",
    "tests/test_tree.py": "the tree itself",
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


def test_a_docstring_is_not_code():
    tree = ast.parse('def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    return x\n')
    assert guards.code_lines(tree.body[0]) == 4


def is_mirrored(test: Path) -> bool:
    """True if a source file or folder has the test's name and place.

    tests/kernels/test_norm.py tests kernels/norm.py or, as here, the definition of these operations
    in kernels/reference/norm.py. Under tests/ the folder of the package itself is left out:
    tests/data/test_idx.py tests minicnn/data/idx.py.
    """
    folder = test.parent.relative_to(ROOT / "tests")
    roots = [ROOT / folder, ROOT / "minicnn" / folder]
    if folder == Path("kernels"):
        roots.append(ROOT / "kernels" / "reference")
    if folder == Path("cuda"):  # what runs on the emulated GPU
        roots += [ROOT / path for path in ("minicnn", "kernels/cuda", "kernels/ladder/gpu")]
    name = test.stem.removeprefix("test_")
    return any((root / f"{name}.py").is_file() or (root / name).is_dir() for root in roots)


def test_tests_mirror_the_tree():
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert len(files) > 20
    strays = {path.relative_to(ROOT).as_posix() for path in files if not is_mirrored(path)}
    assert strays == set(NOT_MIRRORED)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("kernels/test_norm.py", True),
        ("kernels/cpu/engine/test_simd.py", True),
        ("data/test_idx.py", True),
        ("kernels/cpu/test_idx.py", False),
        ("data/test_norm.py", False),
    ],
)
def test_mirror_rule(test, expected):
    assert is_mirrored(ROOT / "tests" / test) == expected
