"""Files are replaced whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from minicnn.errors import TrainingError
from minicnn.files import held, replacing


def test_replaces(tmp_path):
    path = tmp_path / "f"
    for content in (b"one", b"two"):
        with replacing(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() == b"one"
        assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(28, "full")])
def test_whatever_fails_the_old_file_stays(tmp_path, error):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_named(tmp_path):
    """Simulated by a limit on the size of files: both fail in the middle of a write."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"weights\.safetensors") as caught, replacing(path) as f:
            f.write(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_and_devices_are_refused(tmp_path):
    for path in (tmp_path, os.devnull):
        with pytest.raises(OSError, match="it is not a regular file"), replacing(path):
            pass
    assert os.path.exists(os.devnull)
    assert not os.path.isfile(os.devnull)


def test_a_missing_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "f", tmp_path / "file" / "f"):
        with pytest.raises(OSError, match=str(path)), replacing(path):
            pass


def test_permissions_links_and_long_names(tmp_path):
    path = tmp_path / ("n" * 255)
    link = tmp_path / "link"
    try:
        path.write_bytes(b"old")
        link.symlink_to(path)
    except OSError:
        pytest.skip("this file system has no such names or links")
    path.chmod(0o640)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_writers_at_the_same_time(tmp_path):
    """The last one wins, and the file is one of theirs."""
    path, contents = tmp_path / "f", [bytes([i]) * 50_000 for i in range(8)]

    def write(content):
        with replacing(path) as file:
            file.write(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_held_by_one_process(tmp_path):
    pytest.importorskip("fcntl")
    code = """if True:
        import sys, pathlib
        from minicnn.files import held
        with held(pathlib.Path(sys.argv[1])):
            print("held", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match="another run is being written"), held(tmp_path):
            pass
        other.kill()
        other.wait()
        with held(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_file_systems_without_locks_are_no_obstacle(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path), held(tmp_path), held(None):
        pass
