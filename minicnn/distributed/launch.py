"""What a launcher, such as mpirun, says in the environment; mpi4py is not imported for this."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

# The variables of a process's rank and of the number of processes. Slurm's own are also set in a
# batch script, where nothing is launched yet, so the rank must be that of a launched process.
VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, and Slurm's --mpi=pmi2
    ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),  # Slurm's --mpi=pmix
)
LOCAL = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")
LOCAL_RANK = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID")
GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Launch:
    """The rank of this process and the number of processes.

    local: the number of those on this machine; local_rank: the rank of this one among them.
    """

    rank: int
    size: int
    local: int = 1
    local_rank: int = 0

    @property
    def threads(self) -> int | None:
        """The threads for this process, or None for all: the cores are divided evenly.

        A launcher that binds processes to cores, and a user who sets a number, have done that.
        """
        if "NUMBA_NUM_THREADS" in os.environ or not hasattr(os, "sched_getaffinity"):
            return None
        cores, every = len(os.sched_getaffinity(0)), os.cpu_count() or 1
        return max(1, cores // self.local) if cores == every else None


def found_launch(environment: Mapping[str, str] | None = None) -> Launch | None:
    """How this process was launched, or None if it is the only one."""
    values = os.environ if environment is None else environment
    for rank, size in VARIABLES:
        if values.get(rank, "").isdigit() and values.get(size, "").isdigit():
            local, place = (
                next((int(values[n]) for n in names if values.get(n, "").isdigit()), default)
                for names, default in ((LOCAL, 1), (LOCAL_RANK, 0))
            )
            launch = Launch(int(values[rank]), int(values[size]), local, place)
            return launch if launch.size > 1 else None
    return None


def choose_gpu(launch: Launch) -> None:
    """Let this process see one GPU: each process of a machine has its own.

    Before CUDA starts. A launcher that has chosen one GPU for each process is left alone.
    """
    visible = os.environ.get(GPUS)
    choices = visible.split(",") if visible else []
    if visible is None:
        os.environ[GPUS] = str(launch.local_rank)
    elif len(choices) > 1 and launch.local_rank < len(choices):
        os.environ[GPUS] = choices[launch.local_rank]
