"""Downloading from a local server: mirrors, retries, checksums, broken connections."""

import hashlib
import time

import pytest

from minicnn import data
from minicnn.data import download
from minicnn.errors import DataError

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


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert data.cache_folder() == tmp_path
    monkeypatch.delenv("MINICNN_DATA")
    assert data.cache_folder().name == "minicnn"
