"""The 1000 classes of ImageNet (ILSVRC 2012 to 2017): WordNet ids, the devkit's ids, and names.

Two orders are in use. Caffe, torchvision and Keras number the classes by their WordNet ids in
ASCII order: tench, n01440764, is 0. The development kit, whose ground truth labels the validation
images, has an order of its own: kit fox, n02119789, is 1 there, and tench is 449. minicnn has the
first order, and matches classes by name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("synsets.tsv")
COUNT = 1000


@dataclass(frozen=True)
class Synset:
    """One class: its WordNet id, its id in the development kit (1 to 1000), and its name."""

    wnid: str
    devkit_id: int
    name: str


@cache
def synsets() -> tuple[Synset, ...]:
    """The classes in the order of a network's outputs."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    fields = (line.split("\t") for line in lines if not line.startswith("#"))
    return tuple(Synset(wnid, int(number), name) for wnid, number, name in fields)


@cache
def names() -> tuple[str, ...]:
    """The names of the classes in the order of a network's outputs."""
    return tuple(synset.name for synset in synsets())


@cache
def _by_wnid() -> dict[str, str]:
    return {synset.wnid: synset.name for synset in synsets()}


def is_synset(name: str) -> bool:
    """True for the WordNet id of one of the 1000 classes."""
    return name in _by_wnid()


def readable(classes: Iterable[str]) -> tuple[str, ...]:
    """The classes with the name in place of each WordNet id; other names stay as they are."""
    return tuple(_by_wnid().get(name, name) for name in classes)
