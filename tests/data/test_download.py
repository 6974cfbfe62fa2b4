"""Downloading from a local server: mirrors, retries, checksums, broken connections."""

import gzip
import hashlib
import http.server
import importlib
import threading
import time

import numpy as np
import pytest

from minicnn import data
from minicnn.data import download, idx
from minicnn.errors import DataError

from .test_idx import idx_bytes

mnist = importlib.import_module("minicnn.data.mnist")  # `minicnn.data.mnist` itself is the function


class Server(http.server.ThreadingHTTPServer):
    """Answers from `files`; a path in `faults` fails in the given way the given number of times."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path[1:]
        self.server.asked.append(name)
        body = self.server.files.get(name)
        fault, left = self.server.faults.get(name, ("", 0))
        if left:
            self.server.faults[name] = (fault, left - 1)
        if body is None or (left and fault == "503"):
            self.send_error(404 if body is None else 503)
            return
        if left and fault == "slow":
            time.sleep(1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = (
            body[: len(body) // 2]
            if left and fault == "cut"
            else b"x" + body[1:]
            if left and fault == "wrong"
            else body
        )
        try:
            self.wfile.write(sent)
        except BrokenPipeError:
            pass
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


BODY = bytes(range(256)) * 500
SUM = hashlib.sha256(BODY).hexdigest()


def test_download(server, tmp_path):
    server.files["a/file"] = BODY
    told = []
    target = tmp_path / "new" / "file"
    download.download([server.url + "a/file"], target, SUM, lambda *done: told.append(done))
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [p.name for p in target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("fault", ["503", "cut", "wrong", "slow"])
def test_second_mirror_and_second_round(server, tmp_path, fault, monkeypatch):
    """Both mirrors fail once; the first delivers when asked again. Nothing half-written is left."""
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.files |= {"a/file": BODY, "b/file": BODY}
    server.faults |= {"a/file": (fault, 1), "b/file": (fault, 1)}
    download.download([server.url + "a/file", server.url + "b/file"], tmp_path / "file", SUM)
    assert server.asked == ["a/file", "b/file", "a/file"]
    assert (tmp_path / "file").read_bytes() == BODY
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("503", "HTTP 503"),
        ("cut", "ended after|IncompleteRead"),
        ("wrong", "its SHA-256 is"),
        ("slow", "timed out"),
    ],
)
def test_all_mirrors_fail(server, tmp_path, fault, message, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.files["a/file"] = BODY
    server.faults["a/file"] = (fault, 99)
    (tmp_path / "file").write_bytes(b"the old contents")
    with pytest.raises(DataError, match=f"file could not be downloaded .*({message})"):
        download.download([server.url + "a/file", server.url + "missing"], tmp_path / "file", SUM)
    assert (tmp_path / "file").read_bytes() == b"the old contents"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_network_is_noticed_at_once(tmp_path):
    started = time.monotonic()
    with pytest.raises(DataError, match="not reachable"):
        download.download(
            ["http://127.0.0.1:9/file", "http://localhost:9/file"], tmp_path / "file", SUM
        )
    assert time.monotonic() - started < 5


def test_unwritable_folder(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(OSError, match="a file|Not a directory|exists"):
        download.download(["http://127.0.0.1:9/file"], tmp_path / "a file" / "x", SUM)


@pytest.fixture
def mirrors(server, tmp_path, monkeypatch):
    """A little MNIST on the server, with its checksums, and an empty cache."""
    generator = np.random.default_rng(0)
    sums = {}
    for names in idx.FILES.values():
        for name, array in zip(
            names, (generator.integers(0, 256, (30, 28, 28)), np.arange(30) % 10), strict=True
        ):
            raw = idx_bytes(array)
            server.files[f"{name}.gz"] = gzip.compress(raw, mtime=0)
            sums[name] = (
                hashlib.sha256(server.files[f"{name}.gz"]).hexdigest(),
                hashlib.sha256(raw).hexdigest(),
            )
    monkeypatch.setattr(mnist, "MNIST", sums)
    monkeypatch.setattr(mnist, "MNIST_MIRRORS", (server.url + "first/", server.url))
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    return server


def test_mnist_is_fetched_once(mirrors, tmp_path):
    said = []
    train, test = data.mnist(report=said.append)
    assert (len(train), len(test)) == (30, 30)
    assert sorted(p.name for p in (tmp_path / "mnist").iterdir()) == sorted(mirrors.files)
    assert any("downloading train-images-idx3-ubyte.gz" in line for line in said)
    asked = len(mirrors.asked)
    data.mnist(report=said.append)
    assert len(mirrors.asked) == asked


def test_damaged_cache_is_reported_and_fetched_again(mirrors, tmp_path):
    data.mnist(report=lambda line: None)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    for damage in (path.read_bytes()[:-100], b"", gzip.compress(idx_bytes(np.zeros((30, 28, 28))))):
        path.write_bytes(damage)
        said = []
        train, _ = data.mnist(report=said.append)
        assert len(train) == 30
        assert "train-images-idx3-ubyte.gz" in said[0]
        assert "downloading it again" in said[0]


def test_files_put_there_by_hand_need_no_network(mirrors, tmp_path):
    """Plain files, or gzipped by another program, are recognized by their contents."""
    (tmp_path / "mnist").mkdir()
    for name, packed in mirrors.files.items():
        raw = gzip.decompress(packed)
        plain = name.removesuffix(".gz")
        if "images" in name:
            (tmp_path / "mnist" / plain).write_bytes(raw)
        else:
            (tmp_path / "mnist" / name).write_bytes(gzip.compress(raw, 1))
    assert len(data.mnist(allow_download=False)[0]) == 30
    assert mirrors.asked == []


def test_without_network_the_sentence_says_where_to_put_the_file(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MNIST_MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(
        DataError,
        match="could not be downloaded .*To work offline, put the file into .*mnist yourself",
    ):
        data.mnist(report=lambda line: None)
    with pytest.raises(DataError, match="train-images-idx3-ubyte does not exist"):
        data.mnist(allow_download=False)


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert data.cache_folder() == tmp_path
    monkeypatch.delenv("MINICNN_DATA")
    assert data.cache_folder().name == "minicnn"


def test_fashion_mnist_uses_its_own_files(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "FASHION_MNIST", mnist.MNIST)
    monkeypatch.setattr(mnist, "FASHION_MIRRORS", mnist.MNIST_MIRRORS)
    train, _ = data.fashion_mnist(report=lambda line: None)
    assert train.classes[9] == "ankle boot"
    assert (tmp_path / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").exists()
