"""Which arrays are in one bucket. The sums are tested with real ranks, in test_accumulation."""

from minicnn.distributed.buckets import divided


def test_neighbors_up_to_a_size():
    assert divided([], 10) == []
    assert divided([4, 4, 4, 20, 1, 9, 1], 10) == [[0, 1], [2], [3], [4, 5], [6]]
    assert divided([30], 10) == [[0]]
