"""The site's menu and links: every page is there, and every link leads to a page and a heading."""

import re

import pytest

from tools.site import api, links, operations

PAGES = links.pages()
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MENU = (links.ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def anchors(path):
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = links.FENCE.sub("", (links.ROOT / path).read_text(encoding="utf-8"))
    words = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", w.strip().lower()).replace(" ", "-") for w in words}


def test_the_menu_has_every_page_once():
    listed = re.findall(r"[\w/-]+\.md$", MENU.partition("\nnav:")[2], re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(PAGES.values())


def test_the_build_is_strict():
    assert "strict: true" in MENU
    assert "font: false" in MENU
    make = (links.ROOT / "Makefile").read_text(encoding="utf-8")
    assert "mkdocs build --strict\n" in make  # --quiet would hide warnings, and forget them


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_resolves(path):
    text = (links.ROOT / path).read_text(encoding="utf-8")
    for target, anchor in links.links(text):
        found = links.resolve(path, target)
        assert links.place(found), target
        if anchor and found.endswith(".md"):
            assert anchor[1:] in anchors(found), f"{target}{anchor}"


def test_links_to_files_that_do_not_exist():
    with pytest.raises(FileNotFoundError, match=r"docs/no\.md: there is no such file"):
        links.place("docs/no.md")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("README.md", "index.md"),
        ("docs/ladder.md", "ladder.md"),
        ("docs/images/ladder.png", "images/ladder.png"),
        ("docs/derivations", "derivations/README.md"),
        ("results/README.md", "published_results.md"),
        ("benchmarks/results/models.png", "images/benchmarks_results_models.png"),
        ("kernels/ladder/rung04_im2col.py", "source/kernels/ladder/rung04_im2col.py.md"),
        ("kernels/cpu/direct", "source/kernels/cpu/direct.md"),
    ],
)
def test_places(path, expected):
    assert links.place(path) == expected


def test_rewritten_links():
    text = (
        "See [the code](../kernels/ladder/finish.py), [the end](#end), [home](../README.md#data),\n"
        "![a](images/ladder.png) and [others](https://example.org).\n"
        "```\n[kept](../kernels/ladder/finish.py)\n```\n"
    )
    assert links.rewritten(text, "docs/ladder.md", "ladder.md") == (
        "See [the code](source/kernels/ladder/finish.py.md), [the end](#end), "
        "[home](index.md#data),\n![a](images/ladder.png) and [others](https://example.org).\n"
        "```\n[kept](../kernels/ladder/finish.py)\n```\n"
    )
    deeper = "docs/derivations/README.md", "derivations/README.md"
    assert links.rewritten("[a](../ladder.md)", *deeper) == "[a](../ladder.md)"
    assert links.rewritten("[a](../../README.md)", *deeper) == "[a](../index.md)"


def test_source_pages():
    page = links.source_page("kernels/ladder/finish.py")
    assert page.startswith("# kernels/ladder/finish.py\n\n```python\n")
    folder = links.source_page("kernels/cpu/direct")
    assert folder.startswith("# kernels/cpu/direct/\n\n- [__init__.py](direct/__init__.py.md)\n")
    sources = links.linked_sources(["docs/ladder.md"])
    assert "kernels/cpu/direct" in sources
    assert "kernels/cpu/direct/__init__.py" in sources
    assert "benchmarks/results/models.png" in links.linked_pictures(["README.md"])


def test_a_fence_is_longer_than_those_inside():
    code = 'text = """\n```sh\nls\n```\n"""'
    assert links.fenced(code, "python") == f"````python\n{code}\n````"
    assert links.fenced("a\n\nb", "text", indent=4) == "    ```text\n    a\n\n    b\n    ```"


def test_generated_pages_are_where_others_link_them():
    assert operations.page_place("conv2d") == "operations/conv2d.md"
    assert set(api.PAGES) >= {"minicnn.layers", "minicnn.training", "minicnn.kernels.functional"}
