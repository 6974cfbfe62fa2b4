"""Damaged files: each is rejected with one sentence that names it, or read without a change."""

import numpy as np

CASES = 125  # of each kind


def damage(contents: bytes, generator) -> bytes:
    """Cut somewhere, or flip one to eight bits."""
    if generator.integers(2):
        return contents[: generator.integers(len(contents))]
    flipped = bytearray(contents)
    for position in generator.integers(len(contents), size=generator.integers(1, 9)):
        flipped[position] ^= 1 << generator.integers(8)
    return bytes(flipped)


def outcomes(path, contents, read, expected, error):
    """Damage the file many times; count rejections, and check that accepted data is unchanged."""
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(CASES):
        path.write_bytes(damage(contents, generator))
        try:
            result = read(path)
        except error as refusal:
            refused += 1
            assert path.name.partition(".")[0] in str(refusal)
            assert "\n" not in str(refusal)
        else:
            for ours, theirs in zip(result, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    return refused
