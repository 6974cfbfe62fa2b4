"""What launchers say, and how the cores are divided."""

import os

import pytest

from minicnn.distributed import Launch, found_launch
from minicnn.distributed.launch import choose_gpu


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PMI_RANK": "2", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2"}, Launch(2, 4, 2)),
        ({"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "1"}, Launch(3, 4, 1, 1)),
        (
            {
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_SIZE": "3",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "3",
            },
            Launch(1, 3, 3),
        ),
        ({"PMIX_RANK": "5", "SLURM_STEP_NUM_TASKS": "6"}, Launch(5, 6)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # a batch script: nothing is launched
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),
        ({"PMI_RANK": "x", "PMI_SIZE": "2"}, None),
    ],
)
def test_launchers(environment, expected):
    assert found_launch(environment) == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no processes")
def test_cores_are_divided(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert [Launch(0, n, n).threads for n in (2, 3, 8, 16)] == [4, 2, 1, 1]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    assert Launch(0, 4, 4).threads is None  # the launcher has bound this process
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert Launch(0, 4, 4).threads is None


@pytest.mark.parametrize(
    ("before", "local_rank", "after"),
    [(None, 2, "2"), ("4,5,6", 1, "5"), ("7", 3, "7"), ("4,5", 2, "4,5"), ("", 1, "")],
)
def test_each_process_has_a_gpu(before, local_rank, after, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before or "")
    if before is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    choose_gpu(Launch(local_rank, 4, 4, local_rank))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == after
