"""All processes must run the same code with the same settings, data and initial weights."""

import hashlib
import socket
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..device import precision, to_host
from ..errors import TrainingError
from ..kernels import dispatch
from ..layers import Layer
from ..training.callbacks import Callback, Row
from ..training.config_file import versions
from ..training.configuration import differences
from .team import Team

if TYPE_CHECKING:
    from ..training.trainer import Trainer

PACKAGE = Path(__file__).parents[1]
CODE = (".py", ".cu", ".cuh")


def check_agreement(trainer: "Trainer", team: Team) -> None:
    """Raise TrainingError, at every rank, unless all have what rank 0 has; it names the first."""
    every = team.gather((socket.gethostname(), _settings(trainer)))
    for rank, (host, settings) in enumerate(every):
        found = differences(every[0][1], settings, "{key} is {new!r}, and {old!r} at rank 0")
        if found:
            raise TrainingError(
                f"rank {rank} on {host} differs from rank 0: {'; '.join(found)}; "
                "all ranks need the same code, data and options"
            )


def check_weights(model: Layer, team: Team) -> None:
    """Raise TrainingError, at every rank, unless all have the same weights, to the bit."""
    sums = team.gather(checksum(model))
    different = [rank for rank, value in enumerate(sums) if value != sums[0]]
    if different:
        raise TrainingError(
            f"rank {different[0]} has other weights than rank 0 after the same updates: its "
            "machine computes other numbers; expected machines of one kind"
        )


class CompareWeights(Callback):
    """After each epoch, compare the weights of all processes."""

    def on_epoch_end(self, trainer: "Trainer", row: Row) -> None:
        check_weights(trainer.model, trainer.team)


def checksum(model: Layer) -> int:
    """A number that depends on every bit of the parameters and buffers."""
    value = 0
    for array in model.state_dict().values():
        value = zlib.crc32(to_host(array).tobytes(), value)
    return value


def _settings(trainer: "Trainer") -> dict[str, Any]:
    """What must be the same."""
    return trainer.configuration | {
        "epochs": trainer.epochs,
        "shards": trainer.loader.shards.count,
        "code": code_hash(),
        "backend": dispatch.current(),
        "device": trainer.device,
        "precision": precision(),
        "initial weights": checksum(trainer.model),
        "versions": {k: v for k, v in versions().items() if k != "machine"},
    }


@cache
def code_hash() -> str:
    """A hash of the package's sources."""
    digest = hashlib.sha256()
    for path in sorted(p for p in PACKAGE.rglob("*") if p.suffix in CODE):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
