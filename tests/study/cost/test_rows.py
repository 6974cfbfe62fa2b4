"""Folding: blocks become one row, and nothing is lost."""

from minicnn.study.cost.rows import ProfileRow, folded


def rows(*names):
    return [ProfileRow(n, "Conv2d", 1.0, 2.0, 0.5, 0.25, 10, 20, 30) for n in names]


def test_blocks_fold_first_and_then_names_from_their_end():
    blocks = [f"layer{i}.{j}" for i in (1, 2) for j in (0, 1)]
    found = rows("conv1", *(name for b in blocks for name in (f"{b}.body.conv1", b)), "fc")
    assert folded(found, 10) is found
    assert [r.name for r in folded(found, 6)] == ["conv1", *blocks, "fc"]
    assert [r.name for r in folded(found, 5)] == ["conv1", "layer1", "layer2", "fc"]
    small = folded(found, 4)[1]
    assert small.layer == "4 layers"
    assert (small.forward, small.backward, small.seconds, small.floor) == (4, 8, 12, 3)
    assert (small.flops, small.bytes, small.held) == (40, 80, 120)
    assert sum(r.seconds for r in folded(found, 1)) == sum(r.seconds for r in found)
