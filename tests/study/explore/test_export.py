"""The static page: its numbers are those of the session, and its explanations the engine's."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

from minicnn.errors import DataError
from minicnn.study.explain import explain
from minicnn.study.explore.export import export
from minicnn.study.trace import is_activation

from .common import session


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    own, said, images = session(), [], [("test", 2), ("train", 5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.study.explore.export.MOST_CELLS", 24)
        path = export(own, tmp_path_factory.mktemp("page"), images, said.append)
    assert said == ["image 1 of 2: digits, test image 2", "image 2 of 2: digits, train image 5"]
    return own, path.parent


def states(folder):
    text = (folder / "data" / "states.js").read_text()
    return json.loads(text.removeprefix("window.minicnnStates = ").removesuffix(";\n"))


def layer(folder, number, place):
    text = (folder / "data" / f"{number}-{place}.js").read_text()
    found = re.fullmatch(r"window\.minicnnLoaded\((\d+), (\d+), (.*)\);\n", text)
    assert found and (int(found[1]), int(found[2])) == (number, place)
    return json.loads(found[3])


def unpacked(text):
    return gzip.decompress(base64.b64decode(text))


def test_every_file_of_the_page_is_there(written):
    html = (written[1] / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^":]+)"', html):
        assert (written[1] / name).is_file(), name
    assert html.index("exported.js") < html.index("source.js")
    assert (written[1] / "data" / "1.png").read_bytes().startswith(b"\x89PNG")


def test_arrays_are_those_of_the_pass(written):
    own, folder = written  # its last image is in view
    layers = states(folder)[1]["layers"]
    arrays = {one["path"]: layer(folder, 1, i)["arrays"] for i, one in enumerate(layers)}
    for path, found in arrays.items():
        for what, about in found.items():
            while "same" in about:
                about = arrays[about["same"][0]][about["same"][1]]
            array = own.array(path, what)
            numbers = np.frombuffer(unpacked(about["data"]), "<f4")
            if array.ndim == 4 and is_activation(what):
                array = array[0].transpose(2, 0, 1)
            elif array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            np.testing.assert_array_equal(numbers, array.ravel())


def test_explanations_are_the_engines_and_lead_to_the_image(written):
    own, folder = written
    state = states(folder)[1]
    count, kinds = 0, set()
    for place, one in enumerate(state["layers"]):
        path = one["path"]
        pages = json.loads(unpacked(layer(folder, 1, place)["explanations"]))
        assert sorted(pages) == sorted(
            f"{w}|{at}" for w, cells in state["explained"][path].items() for at in cells
        )
        for key, page in list(pages.items())[::9]:
            what, _, at = key.partition("|")
            found = explain(own.trace, path, what, tuple(map(int, filter(None, at.split(",")))))
            assert (page["sum"], page["engine"]) == (found.sum, found.engine)
            count += 1
            kinds.add(page["kind"])
    assert count > 60 and kinds >= {"sum", "selection", "paths"}
    assert state["origins"]["pool"] == {"x": ["norm", "y"], "dy": ["block", "dx"]}
    explained = state["explained"]["pool"]["y"]
    assert "0,3,3,0" in explained and len(explained) >= 12


def test_without_a_data_set_the_image_in_view_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("minicnn.study.explore.export.MOST_CELLS", 4)
    own = session()
    export(own, tmp_path / "page", [])
    own.draw(np.full((28, 28), 90, np.uint8))
    export(own, tmp_path / "page", [])  # in place of the earlier one
    assert [one["image"]["text"] for one in states(tmp_path / "page")] == ["your drawing"]


def test_the_files_of_others_are_not_overwritten(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(DataError, match="expected a new or empty folder, or one of an earlier ex"):
        export(session(), tmp_path, [])
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("index.html", "mine")]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "page").touch()
    with pytest.raises(DataError, match="page: the page cannot be written: "):
        export(session(), tmp_path / "page", [])
