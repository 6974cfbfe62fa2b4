"""GPUs that exchange by NCCL: emulated ones, with a stand-in that refuses what would go wrong."""

import json

import numpy as np
import pytest

from minicnn.distributed import accumulation, nccl
from minicnn.distributed.device_buckets import DeviceBucket
from minicnn.distributed.nccl import Nccl, connected
from minicnn.distributed.team import Team
from minicnn.training import fitting

from .. import emulator
from . import gpu_scenarios
from .common import launch


@pytest.fixture
def run():
    """An emulated GPU with streams and NCCL, for one rank."""
    found = emulator.Emulator().connect()
    emulator.install(found)
    yield found
    emulator.install(None)


def test_two_gpus_have_the_bits_of_one(run, tmp_path, monkeypatch):
    """The shards of one process that accumulates them; synchronized, the statistics of a batch."""
    if emulator.COMPILER is None:
        pytest.skip("no C++ compiler on this machine, which builds the emulator of a GPU")
    done = launch(2, "-m", "tests.distributed.gpu_scenarios", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    monkeypatch.setattr(fitting, "join", fitting.join)
    monkeypatch.setattr(accumulation, "bucket_size", accumulation.bucket_size)
    assert found["four shards"] == gpu_scenarios.alone(batch_size=3, accumulate=4)
    whole, apart = gpu_scenarios.alone()["losses"], found["four shards"]["losses"]
    np.testing.assert_allclose(found["sync"]["losses"], whole, rtol=1e-5)
    assert abs(apart[0] - whole[0]) > 1e-4
    assert min(found["sent"]) > 0


def test_one_gpu_sends_to_itself(run):
    gpus = Nccl(Team(), run.nccl())
    send = run.upload(np.arange(6, dtype=np.float32)[None])
    receive, whole = run.empty((1, 6), np.float32), run.empty((1, 6), np.float32)
    with gpus.aside():
        gpus.exchange(send, receive)
        gpus.gather(receive[0], whole)
    gpus.join()
    np.testing.assert_array_equal(whole, send)
    np.testing.assert_array_equal(gpus.gathered(run.upload(np.ones((2, 3)))), np.ones((1, 2, 3)))


def test_what_a_device_refuses(run, monkeypatch):
    """The stand-in notices each of these."""
    gpus = Nccl(Team(), run.nccl())
    send = run.upload(np.ones((1, 6), np.float32))
    with pytest.raises(RuntimeError, match="ncclSend on stream 2, which is not the current one"):
        gpus.exchange(send, send)
    with gpus.aside(), pytest.raises(RuntimeError, match="24 bytes are sent, and 20 awaited"):
        gpus.exchange(send, send[:, :5])
    monkeypatch.setattr(run.cupy.cuda.nccl, "NCCL_FLOAT32", 6)
    with gpus.aside(), pytest.raises(RuntimeError, match="the type 6 is no ncclDataType_t"):
        gpus.gather(send[0], send)
    monkeypatch.undo()
    with gpus.aside(), pytest.raises(RuntimeError, match="outside of a group"):
        gpus._communicator.send(run.address(send), 6, 7, 0, gpus._stream.ptr)
    with pytest.raises(RuntimeError, match="within a captured graph"), gpus.aside():
        run.capture(lambda: gpus.gather(send[0], send))
    with gpus.aside():
        gpus.gather(send[0], send)
    with pytest.raises(RuntimeError, match="sgd on stream 1 races with stream 2"):
        run.cupy.launched("sgd")
    gpus.join()
    run.cupy.launched("sgd")
    with gpus._stream, pytest.raises(RuntimeError, match="stream 2 races with stream 1"):
        gpus.gather(send[0], send)  # the gradients may not be there yet


def test_buckets_launch_all_aside(run):
    """The sum is complete for what is launched after `join`, and the bytes are counted."""

    class Counts(Team):
        def count_bucket(self, part, is_gathered):
            self.counted = part, is_gathered

    team = Counts()
    gpus = Nccl(team, run.nccl())
    bucket = DeviceBucket(team, [2, 3], np.dtype(np.float32), gpus)
    bucket.put(0, run.upload(np.float32([1, 2])), 0.5)
    bucket.put(1, None, 0.5)
    bucket.start([0], None)
    bucket.put(0, run.upload(np.float32([4, 6])), 0.5)
    bucket.put(1, run.upload(np.ones((3, 1), np.float32)), 0.5)
    assert bucket.is_full
    bucket.start([0], 2.0)
    gpus.join()
    np.testing.assert_array_equal(bucket.result(0), [5, 8])
    np.testing.assert_array_equal(bucket.result(1), [1, 1, 1])
    assert team.counted == (20, True)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ([("a", 0), None], "rank 1 has no NCCL .pip install nvidia-nccl-cu13"),
        ([("a", 0), ("b", 0), ("a", 0)], "several ranks share a GPU, which NCCL does not allow"),
    ],
)
def test_gpus_that_cannot_be_connected(places, reason, run, monkeypatch):
    class Ranks(Team):
        size = len(places)

        def gather(self, value):
            return places

    monkeypatch.setattr(nccl, "Nccl", lambda team, module: "connected")
    with pytest.warns(UserWarning, match=f"gradients are summed on the host: {reason}"):
        assert connected(Ranks()) is None
    places[:] = [("a", 0), ("a", 1)]
    assert connected(Ranks()) == "connected"
