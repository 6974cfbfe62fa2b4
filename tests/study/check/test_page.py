"""The page: every line fits, and that of docs/check.md is what the code there prints."""

import contextlib
import io
import re
from pathlib import Path
from xml.etree import ElementTree

from minicnn.study.check import Check, Finding, Report, Row
from minicnn.study.check.page import WIDTH, report_text, translate

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_of_the_documentation_is_what_is_printed():
    text = (DOCS / "check.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (page,) = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "check.md", "exec"), {"__name__": "document"})
    assert printed.getvalue() == page


def test_long_texts_are_folded():
    check = Check("conv", "conv2d", "convolution", "how")
    check.rows = [Row("dx", "wrong", 1, 10, "a note " * 30)]
    check.findings = [Finding("a", ["dx"], "says " * 50, "advice " * 40, ["formula " * 20])]
    check.effects = ["an effect " * 20]
    lines = report_text(Report("layers.py", [check])).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "0 of 2 points" in lines[-1]


def test_formulas_in_the_order_and_words_of_the_student():
    formula = "dx[n, p*s + i, q*s + j, c] += sum_k dy[n, p, q, k] * w[i, j, c, k]"
    expected = "dx[n, c, p*s + i, q*s + j] += sum_k dout[n, k, p, q] * w[k, c, i, j]"
    assert translate(formula, "NCHW", "dout") == expected
    assert translate(formula, "NHWC", "dy") == formula


def test_a_notebook_shows_the_page():
    check = Check("conv <b>", "conv2d", "convolution", "how")
    check.rows = [Row("dx", "wrong", 1, 10), Row("dw", "right", 10, 10)]
    for shown in (check, Report("<i>layers.py", [check])):
        page = ElementTree.fromstring(shown._repr_html_())
        assert "".join(page.itertext()) == str(shown)
        colors = {span.text.split()[0]: span.get("style") for span in page if span.text}
        assert (colors["dx"], colors["dw"]) == ("font-weight:bold;color:#c00", "color:green")
