"""One process as a team, and why several cannot join."""

import sys
from types import SimpleNamespace

import pytest

from minicnn.distributed import Launch, Team, join
from minicnn.errors import TrainingError


def test_one_process():
    team = Team()
    assert (team.rank, team.size, team.is_first) == (0, 1, True)
    assert team.first(lambda: 3) == 3
    assert team.gather("a") == ["a"]


def test_nothing_is_imported_without_a_launcher(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert join().size == 1


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(
        ImportError, match=r"4 processes were launched.* pip install minicnn\[mpi\]"
    ):
        join(Launch(1, 4))


def test_another_mpi_is_named(monkeypatch):
    world = SimpleNamespace(size=1, rank=0)
    mpi = SimpleNamespace(COMM_WORLD=world, Get_library_version=lambda: "MPICH Version: 5\nmore")
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=mpi))
    with pytest.raises(TrainingError, match="4 .* launched, and mpi4py finds 1: it uses MPICH"):
        join(Launch(1, 4))
