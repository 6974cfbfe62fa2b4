"""Numbers and sizes as they are written in pictures."""

import pytest

from minicnn.study.graph.shapes import count_text, size_text, text_width


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "0"), (9536, "9,536"), (9999, "9,999"), (10_000, "10 k"), (33_312, "33.3 k")),
        *((1_180_160, "1.18 M"), (15_470_264_320, "15.5 G")),
    ],
)
def test_counts_have_three_digits(number, text):
    assert count_text(number) == text


def test_sizes():
    assert size_text((56, 56, 64)) == "56x56x64"
    assert size_text((10,)) == "10"
    assert 0 < text_width("i", 9.0) < text_width("mm", 9.0) < text_width("mm", 18.0)
    assert text_width("$x$ [b]", 9.0) > text_width("x", 9.0), "no formulas"
