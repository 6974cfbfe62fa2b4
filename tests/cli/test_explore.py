"""`explore`: what is served for which arguments, and the sentences for wrong ones."""

import os
import urllib.error
import urllib.request

import pytest
from PIL import Image

from minicnn import models, save
from minicnn.layers import Flatten, Graph, Linear
from minicnn.study.explore import server


@pytest.fixture
def served(monkeypatch):
    """Applications that the command serves; each answers one request of its own page."""
    found = []

    def make(app, port=0):
        found.append(app)
        own = original(app, port)
        own.serve_forever = lambda: None
        return own

    original = server.make
    monkeypatch.setattr(server, "make", make)
    return found


def test_a_network_by_name_with_the_digits(run, served, monkeypatch, tmp_path):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    out = run("explore", "lenet5", "--data", "digits", "--no-browser")
    state = served[0].session.state()
    assert state["network"] == "lenet5" and state["data"]["name"] == "digits"
    assert f"/{served[0].token}/" in out and "http://127.0.0.1:" in out
    assert "lenet5: the weights are new and not trained" in out


def test_a_checkpoint_brings_its_data(run, served, tmp_path):
    model = models.create("lenet5", seed=3)
    model.trained_on = "digits"
    save(model, tmp_path / "own.safetensors")
    assert "not trained" not in run("explore", "own.safetensors", "--no-browser")
    own = served[0].session
    assert own.gallery.name == "digits"
    assert (own.model.C1.weight.value == model.C1.weight.value).all()


def test_a_file_that_does_not_say_its_images(run, served, tmp_path):
    for classes, name in ((10, "digits"), (3, "")):
        network = Graph(Flatten(), Linear(64, classes), input_shape=(8, 8, 1))
        save(network, tmp_path / "own.safetensors")
        said = run("explore", "own.safetensors", "--no-browser")
        assert said.startswith("The images are the bundled digits; --data") == bool(name)
        assert "cannot be shown" not in said
        session = served.pop().session
        assert session.state()["network"] == "own.safetensors"
        assert session.gallery.name == name


def test_classes_are_those_of_the_data(run, served, tmp_path):
    for name in ("ant", "bee", "cat"):
        for number in range(2):
            path = tmp_path / "pictures" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (32, 32), 80 * number).save(path)
    run("explore", "lenet5", "--data", "pictures", "--no-browser")
    state = served[0].session.state()
    assert state["classes"] == ["ant", "bee", "cat"]
    assert state["layers"][-1]["arrays"]["x"] == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lenet6"], "there is no model 'lenet6'; did you mean lenet5"),
        (["lenet5", "--data", "nowhere"], "'nowhere' is neither a data set"),
        (["none.safetensors"], "none.safetensors"),
        (["lenet5", "--data", "digits", "-o", "depth=3"], "lenet5 has no option 'depth'"),
        (["lenet5", "--model", "lenet5"], "--model lenet5: expected a .safetensors file to load"),
        (["lenet5", "--images", "4"], "--images 4 belongs to --export FOLDER"),
    ],
)
def test_sentences(run, served, arguments, sentence):
    assert sentence in run("explore", *arguments, "--no-browser", code=2)


def test_the_browser_is_opened_at_the_address(run, served, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    out = run("explore", "lenet5", "--data", "digits")
    assert opened and opened[0] in out


def test_a_real_server_answers():
    import threading

    from tests.study.explore.common import session

    app = server.App(session())
    own = server.make(app)
    thread = threading.Thread(target=own.serve_forever, daemon=True)
    thread.start()
    try:
        with urllib.request.urlopen(server.address(own, app)) as answer:
            assert b"<title>minicnn" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{own.port}/")
    finally:
        own.shutdown()
        thread.join()
        own.server_close()


def test_a_static_page(run, tmp_path, monkeypatch):
    monkeypatch.setattr("minicnn.study.explore.export.MOST_CELLS", 4)
    out = run("explore", "lenet5", "--data", "digits", "--export", "page", "--images", 1)
    assert f"page{os.sep}index.html: " in out and "MB" in out
    assert (tmp_path / "page" / "data" / "0-1.js").is_file()
    assert not (tmp_path / "page" / "data" / "1-1.js").exists()
