"""A random order of very many images, of which any part is computed without the rest."""

import numpy as np

ROUNDS = 6
MASK = (1 << 64) - 1


class Permutation:
    """The numbers 0 to n - 1 in an order that `(seed, epoch)` determines; `order[i:j]` is a part.

    A Feistel network permutes the numbers of 2k bits: in each round `(l, r)` becomes
    `(r, l ^ f(r))`, which can be undone whatever f is (Luby & Rackoff 1988); f is a hash with a key
    per round. Results of n or more are permuted again until they are below n ("cycle walking":
    Black & Rogaway 2002, section 3); there are less than four times as many as n.
    """

    def __init__(self, n: int, seed: int, epoch: int):
        self.n = n
        self._half = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
        self._low = np.uint64((1 << int(self._half)) - 1)
        generator = np.random.default_rng([seed, epoch])
        self._keys = generator.integers(0, MASK, ROUNDS, np.uint64, endpoint=True)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, part: slice) -> np.ndarray:
        """The numbers at these places, int64."""
        values = self._permuted(np.arange(*part.indices(self.n), dtype=np.uint64))
        while (outside := values >= self.n).any():
            values[outside] = self._permuted(values[outside])
        return values.astype(np.int64)

    def _permuted(self, values: np.ndarray) -> np.ndarray:
        left, right = values >> self._half, values & self._low
        for key in self._keys:
            left, right = right, left ^ (_hashed(right ^ key) & self._low)
        return (left << self._half) | right


def _hashed(x: np.ndarray) -> np.ndarray:
    """A hash of 64-bit numbers (the finalizer of MurmurHash3, Appleby 2011)."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))
