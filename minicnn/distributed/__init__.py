"""Training by several processes, over MPI between machines and cores, and NCCL between GPUs.

    mpirun -n 4 minicnn train resnet20_cifar

Every process has the whole network, and computes the gradients of its shards of each update
(`minicnn.data.shards`). These are summed in the order of the shards, so that n processes are
bit-identical to one that accumulates n shards. See `docs/distributed.md`.

launch: what the launcher says. team: the processes of a run. nccl: their GPUs. buckets,
device_buckets: sums of gradients. accumulation, metrics, device_metrics: what replaces the parts of
a training in one process. synchronized, batch_norm, device_batch_norm: statistics of all images.
data: one process finds the images. agreement: the settings of all processes are compared. faults:
how all end if one does.
"""

from .launch import Launch, found_launch
from .team import Team, join

__all__ = ["Launch", "Team", "found_launch", "join"]
