"""Several processes are bit-identical to one that accumulates as many shards."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

import minicnn
from minicnn.data.dataset import Dataset
from minicnn.data.loader import Loader
from minicnn.data.shards import Shards
from minicnn.distributed import Team
from minicnn.distributed.accumulation import SharedAccumulator
from minicnn.layers import Flatten, Linear, Sequential

from . import scenarios
from .common import launch


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What teams of 1, 2, 3, 4 and 8 processes have computed."""
    folder = tmp_path_factory.mktemp("ranks")
    done = launch(8, "-m", "tests.distributed.scenarios", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.fixture
def alone():
    """A training in this process."""
    join = scenarios.fitting.join
    minicnn.use("reference")
    yield lambda **options: json.loads(json.dumps(scenarios.train(Team(), **options)))
    scenarios.fitting.join = join


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
def test_one_batch_among_all_ranks(ranks, found, alone):
    """Weights, losses, accuracies and evaluations, with a last update of 5 images."""
    expected = alone(batch_size=24 // ranks, accumulate=ranks)
    assert found[f"of {ranks}"]["one batch"] == expected


def test_the_bits_depend_on_the_shards_only(found, alone):
    """Eight shards by 1, 2, 3, 4 and 8 ranks; other numbers of shards give other bits."""
    expected = alone(batch_size=3, accumulate=8)
    for ranks in (1, 2, 3, 4, 8):
        assert found[f"of {ranks}"]["eight shards"] == expected
    others = {found[f"of {ranks}"]["one batch"]["weights"] for ranks in (1, 2, 3, 4, 8)}
    assert len(others) == 5


def test_resumed_with_another_number_of_ranks(found, alone):
    """Four ranks begin and two go on, with the four shards: nothing changes."""
    resumed, expected = found["of_two 2"]["resumed"], alone(batch_size=6, accumulate=4)
    assert resumed["weights"] == expected["weights"]
    assert resumed["numbers"] == expected["numbers"]
    assert resumed["losses"] == expected["losses"][3:]
    assert found["of_two 2"]["written"] == [
        "best.safetensors",
        "config.toml",
        "history.csv",
        "last.safetensors",
    ]


def test_more_ranks_than_shards_divide_anew(found, alone):
    """One process begins and two go on: the second epoch has two shards per update."""
    more, whole = found["of_two 2"]["more"], alone()
    assert [numbers[0] for numbers in more["numbers"]] == [n[0] for n in whole["numbers"]]
    assert more["losses"] != whole["losses"][3:]
    np.testing.assert_allclose(more["losses"], whole["losses"][3:], rtol=0.5)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "lr",
            "rank 1 on .* differs from rank 0: lr is 1.1, and 0.1 at rank 0; all ranks need",
        ),
        ("data", "rank 1 on .*: data is 'own data, 52 images, .*, and 'own data, 53 images"),
        ("initial", "TrainingError: rank 1 on .* differs from rank 0: initial weights is"),
        ("weights", "TrainingError: rank 1 has other weights than rank 0 after the same updates"),
        ("sync", "TrainingError: sync_bn: some updates have 17 images at a time for 2 processes"),
        (
            "nan",
            r"DivergedError: the loss is nan at step . \(epoch 1\): the input already holds one",
        ),
    ],
)
def test_all_ranks_raise_one_error(case, message, found):
    assert re.search(message, found["of_two 2"][case])


def test_synchronized_batch_norm_is_that_of_the_whole_batch(found, alone):
    """The losses and accuracies of one process that accumulates nothing, up to rounding.

    So are the shifts of the images: they are those of the whole batch.
    """
    options = {"average": None}
    expected = alone(**options)
    for ranks in (2, 3, 4):
        sync = found[f"of {ranks}"]["sync"]
        np.testing.assert_allclose(sync["numbers"], expected["numbers"], rtol=2e-5)
    apart = alone(**options, batch_size=12, accumulate=2)
    assert not np.allclose(apart["numbers"], expected["numbers"], rtol=1e-3)


def test_sums_are_in_the_order_of_ranks(found):
    """Bits, bytes sent, for arrays that do not divide; float32 and float64."""
    for ranks in (2, 3, 4, 8):
        assert found[f"of {ranks}"]["sums"] == {"float32": "equal", "float64": "equal"}


class Slow:
    """Rank 0 of two, whose requests are done when the test says so."""

    rank, size = 0, 2

    def __init__(self):
        self.exchanges, self.gathered = [], []

    def start_exchange(self, send, receive):
        self.exchanges.append(SimpleNamespace(done=False))
        request = self.exchanges[-1]
        request.Test = lambda: request.done
        return request

    def start_gather(self, part, whole):
        self.gathered.append(len(part))
        return SimpleNamespace(Test=lambda: False)


def test_buckets_are_gathered_in_one_order(monkeypatch):
    """Also if a later exchange ends first. Otherwise ranks would wait for each other for ever."""
    monkeypatch.setattr("minicnn.distributed.accumulation.bucket_size", lambda total, ranks: 1)
    model, team = Sequential(Linear(2, 8), Linear(8, 40)), Slow()
    loader = Loader(Dataset(np.zeros((4, 1, 1, 2), np.float32), np.arange(4)), 4)
    loader.shards = Shards(4, 2, 0, 2)
    loader.turn = next(loader.shards.turns(0, 4))
    accumulator = SharedAccumulator(model, model.parameters(), loader, team)
    with accumulator.shard(0), accumulator.watched():
        model.backpropagate(model(np.ones((2, 2), np.float32)))
    assert len(team.exchanges) == 4 and not team.gathered
    for done, gathered in (([1, 3], []), ([0], [20, 160]), ([2], [20, 160, 4, 8])):
        for i in done:
            team.exchanges[i].done = True
        accumulator._after_backward(Flatten(), None, None)
        assert team.gathered == gathered
