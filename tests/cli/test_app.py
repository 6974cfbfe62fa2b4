"""The application: its commands, their help, and errors of one sentence."""

import errno
import os
import re
from pathlib import Path

import pytest
from typer.main import get_command

from minicnn import __version__, cli

FOLDER = Path(cli.__file__).parent


def test_every_file_with_a_command_is_imported():
    pattern = re.compile(r"^@app\.command\(", re.MULTILINE)
    files = {p.stem for p in FOLDER.glob("*.py") if pattern.search(p.read_text(encoding="utf-8"))}
    assert len(files) > 8
    assert files <= set(cli.__all__)


def test_errors_of_the_system_have_no_number(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a file").write_text("")
    assert run("vectors", "a file", code=2).startswith("minicnn: a file: File exists  (--debug")
    with monkeypatch.context() as changed:
        changed.setattr(Path, "mkdir", full)
        assert run("vectors", "b", code=2).startswith("minicnn: No space left on device  (--debug")


def test_help_of_every_command(run):
    overview = run("--help")
    for name in get_command(cli.app).commands:
        assert f" {name} " in overview
        assert f" {name} [OPTIONS]" in run(name, "--help")


def test_a_batch_has_the_same_two_names_in_every_command():
    names = [
        {"--batch", "--batch-size"} & set(parameter.opts)
        for command in get_command(cli.app).commands.values()
        for parameter in command.params
    ]
    found = [pair for pair in names if pair]
    assert len(found) > 6
    assert all(len(pair) == 2 for pair in found)


def test_gpu_is_another_word_for_cuda(run):
    for command in (["train", "lenet5", "--data", "digits"], ["ladder", "--repeats", "1"]):
        messages = {run(*command, "--device", d, code=2) for d in ("gpu", "cuda")}
        assert len(messages) == 1
        assert "CuPy" in messages.pop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "lenet"], "there is no model 'lenet'; did you mean lenet5"),
        (
            ["train", "lenet5", "--data", "digits", "--recipe", "papre"],
            "lenet5 has no recipe 'papre'; it has default, digits",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--optimizer", "sdg"],
            "optimizer='sdg': expected one of sgd",
        ),
        (
            ["train", "lenet5", "--data", "digits", "-o", "clases=3"],
            "lenet5 has no option 'clases'; it has num_classes, in_channels",
        ),
        (
            ["train", "lenet5", "--data", "digits", "-o", "num_classes"],
            "--option num_classes: expected key=value",
        ),
        (["train", "lenet5", "--data", "digits", "--backend", "tpu"], "unknown backend 'tpu'"),
        (
            ["train", "lenet5", "--data", "digits", "--backend", "numba_cuda"],
            "the backend 'numba_cuda' is not available",
        ),
        (["train", "lenet5", "--data", "digits", "--epochs", "0"], "Invalid value for '--epochs'"),
        (
            ["train", "lenet5", "--data", "digits", "--clip-norm", "1", "--clip-value", "1"],
            "--clip-norm 1.0 and --clip-value 1.0: expected one of them",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--ema", "0.9", "--lookahead", "5"],
            "--ema 0.9 and --lookahead 5: expected one of them",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--class-weights", "1,2"],
            "--class-weights 1,2: 2 numbers; expected 10, one per class",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--class-weights", "equal"],
            "--class-weights equal: expected `balanced`, or numbers with commas between them",
        ),
        (
            ["train", "lenet5_1998", "--data", "digits", "--label-smoothing", "0.1"],
            "label_smoothing: the loss MAPLoss(j=0.1) has none; expected SoftmaxCrossEntropy",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--min-delta", "0.1"],
            "--min-delta 0.1 needs --early-stop EPOCHS",
        ),
        (["train", "lenet5", "--data", "digits", "--resume"], "there is no run to resume"),
        (
            ["train", "lenet5", "--data", "digits", "-o", "num_classes=4"],
            "the network has classes 0 to 3",
        ),
        (["evaluate", "nothing.safetensors"], "nothing.safetensors: cannot be read: No such file"),
        (["data", "digits", "--augment", "lenet"], "--augment lenet: expected MODEL, MODEL:RECIPE"),
        (["data", "digits", "--augment", "lenet5:best"], "lenet5 has no recipe 'best'"),
        (["data", "digits", "--augment", "krizhevsky"], "the images are gray"),
        (["data", "digits", "--out", "no/a.png"], "there is no folder no"),
        (["data", "cifar99"], "'cifar99' is neither a data set"),
        (["train", "lenet5", "--data", "nowhere"], "'nowhere' is neither a data set"),
        (["data", "imagenet"], "there is no ImageNet, which minicnn does not download"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_errors_are_one_sentence(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "cache"))
    said = run(*arguments, code=2)
    assert message in " ".join(said.replace("│", " ").split())


def test_version(run):
    assert run("--version") == f"minicnn {__version__}\n"
