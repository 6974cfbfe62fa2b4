"""Tables as plain text and as HTML."""

from xml.etree import ElementTree

from minicnn.text import aligned, for_json, four_digits, hint, html_table


def test_columns_have_equal_width():
    rows = [["run", "error"], ["a", "12.5%"], ["longer", ""]]
    assert aligned(rows, left={0}) == ["run     error", "a       12.5%", "longer"]
    assert aligned(rows) == ["   run  error", "     a  12.5%", "longer"]
    assert aligned([]) == []


def test_html_has_the_cells_escaped():
    rows = [["class", "images"], ["<b>cats & dogs</b>", "3"]]
    page = ElementTree.fromstring(f"<div>{html_table(rows, {0}, '<i>', 'a < b')}</div>")
    assert [cell.text for cell in page.iter("th")] == rows[0]
    assert [cell.text for cell in page.iter("td")] == rows[1]
    assert page.find("table/caption").text == "<i>"
    assert page.find("p").text == "a < b"
    sides = [cell.get("style") for cell in page.iter("td")]
    assert sides == ["text-align:left", "text-align:right"]


def test_a_mistyped_name_gets_the_nearest_ones():
    names = ["ReLU", "tanh", "relu6"]
    assert hint("RELu", names, "known are ...") == "did you mean ReLU, relu6"
    assert hint("cosine", names, "known are ...") == "known are ..."


def test_four_digits_without_an_exponent():
    assert [four_digits(v) for v in (0.43984, 12.0, 18190.2, -1234.5)] == [
        *("0.4398", "12", "18,190", "-1,234")
    ]


def test_json_has_no_nan():
    value = {"a": [1, float("nan"), (float("inf"), "x")], "b": None}
    assert for_json(value) == {"a": [1, None, [None, "x"]], "b": None}
