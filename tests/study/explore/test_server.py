"""The server: who may ask, what it answers, and its sentences for what cannot be."""

import json

import numpy as np
import pytest
from werkzeug.test import Client

from minicnn.study.explore import server

from .common import session


@pytest.fixture(scope="module")
def page():
    app = server.App(session(), "secret")
    return app, Client(app)


def get(page, path, /, **query):
    return page[1].get(f"/secret/{path}", query_string=query, base_url="http://127.0.0.1:5000")


def test_only_with_the_token_and_by_its_own_name(page):
    client = page[1]
    for path in ("/", "/state", "/secre/state", "/secrets/state", "/s%C3%A4cret/state"):
        assert client.get(path, base_url="http://127.0.0.1").status_code == 403, path
    assert client.get("/secret/state", base_url="http://localhost:5000").status_code == 200
    rebound = client.get("/secret/state", base_url="http://evil.example")
    assert rebound.status_code == 400 and b"layers" not in rebound.data
    answer = get(page, "")
    assert answer.status_code == 200 and b"<title>minicnn" in answer.data
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert len({server.App(page[0].session).token for _ in range(3)}) == 3


def test_files_of_the_page_and_no_others(page):
    html = get(page, "").text
    names = [part.partition('"')[0] for part in html.split('"static/')[1:]]
    assert len(names) > 10
    for name in names:
        assert get(page, f"static/{name}").status_code == 200, name
        assert "http" not in get(page, f"static/{name}").text.replace("http://www.w3", ""), name
    for name in ("nothing.js", "..%2Fserver.py", "%2e%2e/server.py"):
        assert get(page, f"static/{name}").status_code == 404, name


def test_arrays_arrive_as_they_are(page):
    own = page[0].session
    answer = get(page, "array", path="conv", what="y", first=1, count=2)
    about = json.loads(answer.headers["X-Array"])
    y = own.array("conv", "y")
    assert about["sent"] == [2, 12, 12] and about["high"] == y.max()
    found = np.frombuffer(answer.data, "<f4").reshape(2, 12, 12)
    np.testing.assert_array_equal(found, y[0, :, :, 1:3].transpose(2, 0, 1))
    answer = get(page, "array", path="mix.right", what="value.w", first=4, count=2)
    w = own.array("mix.right", "value.w")
    found = np.frombuffer(answer.data, "<f4").reshape(2, 3, 3)
    np.testing.assert_array_equal(found, np.stack([w[:, :, 0, 1], w[:, :, 1, 1]]))
    answer = get(page, "array", path="fc", what="dy")
    np.testing.assert_array_equal(np.frombuffer(answer.data, "<f4"), own.array("fc", "dy")[0])


def test_explanations(page):
    found = get(page, "explain", path="pool", what="y", index="0,1,2,3").json
    assert found["kind"] == "selection" and found["difference"] == 0
    found = get(page, "explain", path="loss", what="y", index="").json
    assert found["engine"] == page[0].session.state()["loss"]


@pytest.mark.parametrize(
    ("path", "query", "sentence"),
    [
        ("explain", {"path": "conv", "what": "y", "index": "0,1"}, "has 2 indices; expected 4"),
        ("explain", {"path": "conv", "what": "y", "index": "a"}, "index=a: expected whole numbers"),
        ("explain", {"path": "cnv", "what": "y", "index": "0"}, "did you mean conv"),
        ("explain", {"what": "y"}, "path is missing"),
        ("array", {"path": "conv", "what": "q"}, "there is no array 'q'"),
        ("array", {"path": "conv", "what": "y", "first": "x"}, "first=x: expected a whole number"),
        ("gallery", {"split": "best", "wrong": 1}, "split 'best': expected one of test, train"),
    ],
)
def test_sentences(page, path, query, sentence):
    answer = get(page, path, **query)
    assert answer.status_code == 400
    assert sentence in answer.json["error"]


def test_numbers_that_are_not_finite(page):
    own = session()
    own.model.fc.weight.value[:, 3] = np.nan
    own.model.fc.weight.value[0, 4] = np.inf
    with np.errstate(all="ignore"):
        client = (None, Client(server.App(own, "secret")))
        state = get(client, "state").json
        assert state["loss"] is None
        answer = get(client, "array", path="fc", what="value.w")
        about = json.loads(answer.headers["X-Array"])
        finite = np.delete(own.model.fc.weight.value, [3, 4], axis=1)
        assert about["low"] <= finite.min() < finite.max() <= about["high"] < 10
        found = get(client, "explain", path="fc", what="y", index="0,3").json
        assert found["engine"] is None and found["terms"][1]["value"] is None
        assert get(client, "array", path="fc", what="y").status_code == 200


def test_changes_need_a_post(page):
    for path in ("choose", "draw", "file", "label", "step", "restore"):
        assert get(page, path).status_code == 405, path


def post(page, path, body=b"", /, **query):
    options = {"query_string": query, "data": body, "base_url": "http://127.0.0.1:5000"}
    return page[1].post(f"/secret/{path}", **options)


def test_choose_draw_drop_and_step(page):
    assert post(page, "choose", split="train", index=7).json["image"]["index"] == 7
    drawn = post(page, "draw", bytes(range(256)) * 3 + bytes(16))
    assert drawn.json["image"]["text"] == "your drawing"
    assert post(page, "draw", b"123").json["error"].startswith("a drawing of 3 bytes")
    png = get(page, "thumbnail/test/3.png")
    assert png.data.startswith(b"\x89PNG")
    dropped = post(page, "file", png.data, name="three.png")
    assert dropped.json["image"] == {"text": "three.png", "label": None}
    assert (
        "three.txt: it cannot be read" in post(page, "file", b"3", name="three.txt").json["error"]
    )
    assert post(page, "label", label=2).json["loss_label"] == 2
    stepped = post(page, "step", lr="0.01").json
    assert stepped["after"]["loss"] < stepped["before"]["loss"]
    assert post(page, "restore").json["loss"] == stepped["before"]["loss"]
    assert post(page, "step", lr="fast").json["error"] == "lr=fast: expected a number"


def test_a_port_that_is_taken(page):
    first = server.make(page[0])
    try:
        assert server.address(first, page[0]) == f"http://127.0.0.1:{first.port}/secret/"
        assert first.server_address[0] == "127.0.0.1"
        with pytest.raises(OSError, match=f"--port {first.port}: .*in use"):
            server.make(page[0], first.port)
    finally:
        first.server_close()
