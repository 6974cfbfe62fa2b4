"""The command line in processes of its own, as users run it; `tests/cli` has the commands."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from minicnn.weights import load_state


@pytest.fixture
def minicnn(tmp_path):
    """Run `python -m minicnn ...` in an empty folder, with an empty cache and no internet."""
    environment = {
        **os.environ,
        "MINICNN_DATA": str(tmp_path / "cache"),
        "COLUMNS": "200",
        "PYTHONWARNINGS": "error",
    }
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "minicnn", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    run.folder, run.environment = tmp_path, environment
    return run


def test_train_without_network_falls_back_to_the_digits(minicnn):
    said = minicnn("train", "lenet5", "--epochs", 2)
    assert "could not download MNIST; training on the bundled digits instead: " in said
    assert "not reachable" in said
    assert "epoch 2/2: loss" in said
    assert "confusion matrix" in said
    assert "lenet5: " in said.splitlines()[-1]
    assert "test accuracy on digits (359 test images)" in said.splitlines()[-1]
    folder = minicnn.folder / "runs" / "lenet5-digits"
    assert sorted(p.name for p in folder.iterdir()) == [
        "best.safetensors",
        "config.toml",
        "confusion.png",
        "curves.png",
        "history.csv",
        "last.safetensors",
    ]
    minicnn("train", "lenet5", "--epochs", 1)
    assert (minicnn.folder / "runs" / "lenet5-digits-2").is_dir(), (
        "a second run does not overwrite the first"
    )


def test_a_data_set_that_was_asked_for_is_not_replaced(minicnn):
    assert "could not be downloaded" in minicnn("train", "lenet5", "--data", "mnist", code=2)


def test_an_error_is_one_sentence_and_a_traceback_on_request(minicnn):
    command = [sys.executable, "-m", "minicnn", "--debug", "train", "lenet"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=minicnn.folder,
        env=minicnn.environment,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "there is no model 'lenet'" in minicnn("train", "lenet", code=2)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_interrupt_and_resume(minicnn):
    """Ctrl-C saves; the printed command continues to the result of an uninterrupted run."""
    command = ["-u", "-m", "minicnn", "train", "lenet5", "--data", "digits", "--epochs", "20"]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=minicnn.folder,
        env=minicnn.environment,
    )
    for line in process.stdout:
        if line.startswith("epoch 1/20"):
            break
    process.send_signal(signal.SIGINT)
    rest, complaint = process.communicate(timeout=300)
    assert (process.returncode, complaint) == (130, "")
    told = rest.strip().splitlines()[-1]
    assert (
        "To continue: minicnn train lenet5 --data digits --epochs 20 "
        "--out runs/lenet5-digits --resume" in told
    )
    resumed = minicnn(*told.partition("To continue: minicnn ")[2].split())
    alone = minicnn("train", "lenet5", "--data", "digits", "--epochs", 20, "--out", "alone")
    assert resumed.splitlines()[-1] == alone.splitlines()[-1]
    first, second = (
        (minicnn.folder / f / "last.safetensors") for f in ("runs/lenet5-digits", "alone")
    )
    for name, array in load_state(first).items():
        np.testing.assert_array_equal(array, load_state(second)[name])


def test_import_is_light():
    """`import minicnn` imports neither torch nor matplotlib nor typer."""
    heavy = ("torch", "matplotlib", "typer", "PIL.ImageShow")
    code = f"import sys, minicnn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
