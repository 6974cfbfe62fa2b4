"""The course: its list, each step as a script and with its change, copies, and the documents."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import minicnn
from minicnn.cli import course

ROOT = Path(__file__).parents[2]
STEPS = course.steps()
# What each script prints, in the order of the steps.
PRINTED = [
    r"\[0\. 4\. 4\. 0\.\]\]\nequal: True\n\(1, 8, 8, 1\) -> \(1, 6, 6, 2\)",
    r"dx equal: True\ndw equal: True\nmeasured (\S+)\ncomputed \1\n(.*ok\n|.*\n)*bias .* WRONG",
    r"\[0\. 0\. 4\. 0\.\]\n(.*\n)*windows: 9 wins: 9",
    r"fall 0\.0123\d+\nmeasured fall  0\.0123.*\nloss .*e-1\d \[ 1\.  -2\.   0\.5\] \[3\.\]",
    r"loss 0\.1698\n.*loss 0\.1698 gradient \[-0\.1562  0\.1142  0\.042 \]",
    r"epoch 8: .* accuracy 9[6-9](.*\n)*.*top-1 (9\S+), .*\nread again: \2",
    r"suggestion=0\.0\d+\)\nlr 0\.0005: .*\nlr 0\.02: .* 9\d\.\d+%\nlr 1\.0: the loss is nan",
    r"without batch norm\n(.*\n)+with batch norm\n(.*\n)+alone and in a batch: True",
    r"plain\n(.*\n)+residual\n(.*\n)+training loss",
    r"training loss 2\.\d+ at first, 0\.\d+ at last\n(.*\n)*.*4 of 4 points",
    r"accuracy 9[7-9]\.\d+%\n\d+ of 359 are wrong; .*\n(.*\n)*C1 +gradient",
    r"240 images for training, 60 for the test: (.*\n)*test accuracy (9|100).*\n.*e.png: circle",
]
# What the text says to change, and what is then printed. (Step, old, new, printed.)
CHANGES = [
    (1, "conv2d(digit, both, b=np.zeros(2))", "conv2d(digit, both, stride=2)", r"\(1, 3, 3, 2\)"),
    (1, "conv2d(digit, both, b=np.zeros(2))", "conv2d(digit, both, padding=1)", r"\(1, 8, 8, 2\)"),
    (2, "dx[0, p + i, q + j] +=", "dx[0, p + i, q + j] =", "dx equal: False\ndw equal: True"),
    (3, "stride=1", "stride=2", r"\[\[0\. 1\. 0\. 0\.\]\n(.*\n)+windows: 4 wins: 4"),
    (4, "lr = 0.001", "lr = 0.1", r"predicted fall 1\.2\d+\nmeasured fall  1\.[01]"),
    (4, "lr = 0.001", "lr = 2", r"measured fall  -"),
    (5, "np.array([0])", "np.array([2])", r"loss 3\.1698 gradient \[ 0\.8438  0\.1142 -0\.958 \]"),
    (7, "(0.0005, 0.02, 1.0)", "(0.0005, 0.02, 0.3)", r"lr 0\.3: training loss 2\.3"),
    (9, "DEPTH = 16", "DEPTH = 2", r"first block (1\.\de-04|9\.\de-05), .*\n.* loss 2\.2"),
    (10, " * negative)", ")", r"dalpha +WRONG(.*\n)*.*the positive side counts, too"),
]


@pytest.fixture
def run_step(tmp_path, monkeypatch, capsys):
    """Execute the source of a step in an empty folder; returns what it prints.

    With one thread: on a busy machine these small networks wait for the second one.
    """
    monkeypatch.chdir(tmp_path)
    threads = minicnn.get_num_threads()
    minicnn.set_num_threads(1)

    def run(number, *change):
        source = STEPS[number - 1].path.read_text(encoding="utf-8")
        if change:
            assert change[0] in source
            source = source.replace(*change)
        Path("script.py").write_text(source, encoding="utf-8")
        capsys.readouterr()
        runpy.run_path("script.py", run_name="__main__")
        return capsys.readouterr().out

    yield run
    minicnn.set_num_threads(threads)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.path.stem)
def test_each_step_runs(step, run_step):
    printed = run_step(step.number)
    assert re.search(PRINTED[step.number - 1], printed), printed
    pictures = re.findall(r'"(\d+_\w+\.png)"', step.path.read_text(encoding="utf-8"))
    for picture in pictures:
        assert Path(picture).stat().st_size > 1000, picture


@pytest.mark.parametrize(("number", "old", "new", "expected"), CHANGES)
def test_what_should_then_happen_happens(number, old, new, expected, run_step):
    printed = run_step(number, old, new)
    assert re.search(expected, printed), printed


def test_own_images_are_read_and_left_as_they_are(run_step):
    for i in range(20):
        path = Path("mine") / ("dark", "light")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 30), 20 + 200 * (i % 2)).save(path)
    before = sorted(Path("mine").rglob("*"))
    printed = run_step(12, 'Path("12_shapes")', 'Path("mine")')
    assert "16 images for training, 4 for the test: dark, light" in printed
    assert sorted(Path("mine").rglob("*")) == before


def test_the_steps_are_numbered_and_the_page_lists_them():
    assert [step.number for step in STEPS] == list(range(1, 13)) and len(PRINTED) == 12
    page = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[\d.*", page, re.MULTILINE)
    assert rows == [
        f"| [{s.number}](../examples/{s.path.name}) | {s.title} | {s.change} | {s.then} |"
        for s in STEPS
    ]


def test_the_list_has_every_step(run):
    printed = run("course")
    for step in STEPS:
        assert f"{step.number:2}  {step.title}\n" in printed
    assert "change  stride=1 to stride=2 in `MaxPool2d`." in printed


def test_a_step_is_printed_and_run(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-m", "minicnn", "course", "5", "--run"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    text, printed = done.stdout.split("05_softmax_cross_entropy.py\n")
    assert "Softmax makes probabilities of them" in text
    assert "loss 0.1698" in printed


def test_a_copy_that_cannot_be_written_is_named(run, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: os.read(os.open("/", os.O_RDONLY), 1))
    error = run("course", "1", "--copy", "mine", code=2)
    assert error.startswith("minicnn: mine/01_convolution.py: Is a directory  (--debug")


def test_scripts_and_notebooks_are_copied_once(run, tmp_path):
    assert run("course", "--copy", "mine").startswith("mine: 01_convolution.py, 02_gradient.py")
    assert (tmp_path / "mine" / "03_pooling.py").read_bytes() == STEPS[2].path.read_bytes()
    assert run("course", "3", "--copy", "mine", "--notebooks") == "mine: 03_pooling.ipynb\n"
    assert len(list((tmp_path / "mine").iterdir())) == 13
    error = run("course", "2", "--copy", "mine", code=2)
    assert "mine has 02_gradient.py already; choose another folder" in error
    error = run("course", "--copy", "mine", code=2)
    assert "mine has 01_convolution.py and 11 more already" in error
    error = run("course", "--copy", "mine/02_gradient.py", code=2)
    assert "expected a folder; mine/02_gradient.py is a file" in error
    error = run("course", "--copy", "mine/02_gradient.py/more", code=2)
    assert "expected a folder; mine/02_gradient.py is a file" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["13"], "course 13: expected a step from 1 to 12"),
        (["--run"], "--run: expected the number of a step"),
        (["1", "--run", "--copy", "x"], "cannot be used together"),
        (["--notebooks"], "--notebooks belongs to --copy FOLDER"),
    ],
)
def test_wrong_arguments(arguments, expected, run):
    assert expected in run("course", *arguments, code=2)


def test_documents_are_listed_and_printed(run):
    listed = run("docs").splitlines()
    names = [line.split()[0] for line in listed]
    files = {p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")}
    assert set(names) == {f.with_suffix("").as_posix().removesuffix("/README") for f in files}
    text = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    assert run("docs", "check") == run("docs", "docs/check.md") == text
    assert Path(run("docs", "derivations", "--path").strip()).samefile(
        ROOT / "docs" / "derivations" / "README.md"
    )
    assert "no such page; expected one of ablations, arm" in run("docs", "xyz", code=2)
    assert "no such page; did you mean training" in run("docs", "trainin", code=2)
