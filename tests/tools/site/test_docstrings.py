"""Docstrings as Markdown: names with descriptions are lists, all else stays."""

from tools.site.docstrings import as_markdown


def test_a_list_of_arguments():
    text = "Move x.\n\nArgs:\n    x: images\n        of any size.\n    w, b: weights.\n\nReturns y."
    assert as_markdown(text) == (
        "Move x.\n\nArgs:\n\n- `x`: images\n    of any size.\n- `w, b`: weights.\n\nReturns y."
    )


def test_names_within_a_paragraph():
    text = "One of two.\nsize: pixels. It may be\n0.\nstride: pixels.\nRaises ValueError."
    assert as_markdown(text) == (
        "One of two.\n\n- `size`: pixels. It may be\n    0.\n- `stride`: pixels.\n\n"
        "Raises ValueError."
    )


def test_what_stays():
    text = "A sum.\n\n    y = a: b\n    z = y\n\n| a |\n|---|\n| x: 1 |\n\nSource: He 2015."
    assert as_markdown(text) == text
