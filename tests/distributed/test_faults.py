"""Processes that fail: all end, one sentence says why, and the run can be resumed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from minicnn.distributed import Launch, faults
from minicnn.distributed.faults import killed

from .common import ROOT, environment, launch, mpirun, python

TRAIN = ("-m", "minicnn", "train", "lenet5", "--data", "digits", "--limit", "64")
OPTIONS = ("--backend", "reference", "--schedule", "constant", "--out")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ranks are children on Linux only")
def test_a_killed_rank_is_named_and_the_run_goes_on(tmp_path):
    """SIGKILL after the second epoch; then one process resumes what two have begun."""
    out = tmp_path / "run"
    command = [mpirun(), "-n", "2", sys.executable, *TRAIN, "--epochs", "5000", *OPTIONS, out]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment(),
    ) as run:
        watchdog = threading.Timer(100, run.kill)
        watchdog.start()
        lines = []
        for line in run.stdout:
            lines.append(line)
            if line.startswith("epoch 2/"):
                break
        victim, start = ranks_of(run.pid)[1], time.monotonic()
        os.kill(victim, signal.SIGKILL)
        rest = run.stdout.read()
        assert run.wait() != 0
        watchdog.cancel()
    assert time.monotonic() - start < 10
    said = [line for line in rest.splitlines() if line.startswith("minicnn:")]
    assert len(said) == 1 and f"of 2 (process {victim} on " in said[0], "".join(lines) + rest
    assert "was killed by SIGKILL" in said[0] and "--resume" in said[0]
    assert ranks_of(run.pid) == []
    # More than are finished: the checkpoint may be an epoch further than the history.
    epochs = len((out / "history.csv").read_text().splitlines()) + 1
    resumed = python(*TRAIN, "--epochs", epochs, *OPTIONS, out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert f"epoch {epochs}/{epochs}:" in resumed.stdout


def ranks_of(pid):
    """The processes that are grandchildren of mpirun's, by their ids: the ranks."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    below = {pid}
    for _ in range(3):  # mpirun, its proxy, the waiting parents, the ranks
        below = {process for process, parent in parents.items() if parent in below}
    return sorted(below)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sizes of files are limited")
def test_a_full_disk_at_rank_0_ends_all(tmp_path):
    """The limit of a file's size stands for the disk's. An error in a script ends all ranks."""
    done = launch(2, "-c", FULL_DISK, tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("rank 0 of 2:"), done.stderr
    assert done.stderr.count("Traceback") == 1
    assert "CheckpointError" in done.stderr and "cannot be written: File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]  # written before


FULL_DISK = """
import resource
import sys

import numpy as np

import minicnn
from minicnn import training
from minicnn.layers import Flatten, Linear, Sequential


class Fill(training.Callback):
    is_output = True  # only rank 0 calls it

    def on_train_start(self, trainer):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


minicnn.use("reference")
minicnn.seed(0)
data = np.ones((8, 4, 4, 1), np.float32), np.arange(8) % 2
options = {"epochs": 1, "out": sys.argv[1], "distributed": True, "progress": False}
callbacks = [Fill()]
training.fit(Sequential(Flatten(), Linear(16, 2)), data, callbacks=callbacks, **options)
"""


def test_one_process_of_a_machine_says_what_is_missing(monkeypatch, capsys):
    """Before MPI runs; the others end in silence, with the same code."""

    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(faults, "GRACE", 0.0)
    monkeypatch.setattr(faults, "_running_mpi", lambda: None)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    for rank, local_rank in ((0, 0), (1, 1), (2, 0), (3, 1)):
        with pytest.raises(SystemExit, match="2"):
            faults.end_all(Launch(rank, 4, 2, local_rank), "there is no CuPy")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"minicnn: rank {rank} of 4: there is no CuPy" for rank in (0, 2)]


def test_one_interruption_is_sent_on_once(monkeypatch):
    """The terminal and the launcher send one each; a second SIGINT would end without saving."""
    sent, now = [], [0.0]
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append((process, number)))
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    forward = faults._Forward(7)
    for moment in (0.0, 0.1, 2.0):
        now[0] = moment
        forward(signal.SIGINT, None)
    forward(signal.SIGTERM, None)
    assert sent == [(7, signal.SIGINT), (7, signal.SIGINT), (7, signal.SIGTERM)]


def test_the_sentence_names_the_signal():
    text = killed(Launch(2, 4), 123, signal.SIGTERM)
    assert text.startswith("minicnn: rank 2 of 4 (process 123 on ")
    assert "was killed by SIGTERM; all ranks end" in text
