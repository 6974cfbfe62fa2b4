"""Files in folders and archives: links, hidden ones, spellings, damage."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from minicnn.data.files import is_archive, listing, members, stem, types_of
from minicnn.errors import DataError


def write(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def contents(files):
    return {path: file.read() for path, file in files.items() if not file.is_folder}


def test_hidden_files_and_folders_are_no_data(tmp_path):
    write(tmp_path, "a/1.png", ".git/2.png", "a/.3.png", "__MACOSX/a/4.png")
    write(tmp_path, "a/.ipynb_checkpoints/1-checkpoint.png")
    assert contents(listing(tmp_path)) == {"a/1.png": b"a/1.png"}


def test_links_are_followed_and_cycles_end(tmp_path):
    write(tmp_path, "real/x/1.png", "set/train/y/2.png")
    os.symlink(tmp_path / "real" / "x", tmp_path / "set" / "train" / "x")
    os.symlink(tmp_path / "set", tmp_path / "set" / "train" / "y" / "again")
    os.symlink(tmp_path / "nowhere", tmp_path / "set" / "broken")
    assert list(contents(listing(tmp_path / "set"))) == ["train/x/1.png", "train/y/2.png"]


def test_names_are_composed(tmp_path):
    """macOS decomposes e with an acute accent; both spellings are one class."""
    write(tmp_path, "caf\u0065\u0301/1.png")
    assert list(contents(listing(tmp_path))) == ["caf\u00e9/1.png"]
    write(tmp_path, "caf\u00e9/1.png")
    if len(list(tmp_path.iterdir())) == 2:
        with pytest.raises(DataError, match="two files are called caf\u00e9"):
            listing(tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_files(tmp_path, mode):
    """Plain or compressed, with hard and symbolic links."""
    archive = tmp_path / "set.tar"
    with tarfile.open(archive, mode) as tar:
        for name in ("./a/1.png", "a/2.png"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            tar.addfile(entry, io.BytesIO(name[-5:-2].encode()))
        for name, kind, target in (
            ("b/1.png", tarfile.LNKTYPE, "./a/1.png"),
            ("b/2.png", tarfile.SYMTYPE, "../a/2.png"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
    assert contents(listing(archive)) == {
        "a/1.png": b"1.p",
        "a/2.png": b"2.p",
        "b/1.png": b"1.p",
        "b/2.png": b"2.p",
    }
    assert stem(archive) == "set"


LINKS = {
    "0.png": "all/cat/1.png",  # before the file itself
    "train/cat": "../all/cat",
    "train/dog": "cat",  # a link to a link
    "val/cat/9.png": "../../train/dog/2.png",
    "all/cat/again": "..",  # a cycle
    "train/lost": "../nowhere",
    "train/outside": "/etc",
}
LINKED = {
    "0.png": b"1",
    **{f"{folder}/1.png": b"1" for folder in ("all/cat", "train/cat", "train/dog")},
    **{f"{folder}/2.png": b"2" for folder in ("all/cat", "train/cat", "train/dog")},
    "val/cat/9.png": b"2",
}


def linked_tar(path):
    with tarfile.open(path, "w") as tar:
        for name, target in LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for i in "12":
            entry = tarfile.TarInfo(f"all/cat/{i}.png")
            entry.size = 1
            tar.addfile(entry, io.BytesIO(i.encode()))


def linked_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, target in LINKS.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
        for i in "12":
            archive.writestr(f"all/cat/{i}.png", i)


@pytest.mark.parametrize("write", [linked_tar, linked_zip])
def test_links_in_archives(tmp_path, write):
    """To files and folders in any order, as in folders."""
    write(tmp_path / "set")
    assert contents(listing(tmp_path / "set")) == LINKED


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip_entries_are_read_in_place(method, tmp_path):
    """Behind other bytes, and with an extra field, as some tools write them."""
    archive = tmp_path / "set.zip"
    archive.write_bytes(b"#!some program that unpacks the rest\n")
    written = {f"cat/{i}.txt": bytes([i]) * (50 * i) for i in range(3)}
    with zipfile.ZipFile(archive, "a", method) as target:
        for name, data in written.items():
            entry = zipfile.ZipInfo(name)
            entry.extra = b"\x99\x99\x02\x00ab"
            target.writestr(entry, data, method)
    assert contents(listing(archive)) == written


def test_zip_files(tmp_path):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("train/a/1.png", b"one")
        target.writestr("__MACOSX/train/a/._1.png", b"no")
    assert contents(listing(archive)) == {"train/a/1.png": b"one"}


@pytest.mark.parametrize("garbage", [b"", b"no archive at all", b"PK\x03\x04 and no more"])
def test_what_is_no_archive(tmp_path, garbage):
    (tmp_path / "x.tar").write_bytes(garbage)
    with pytest.raises(DataError, match=r"x\.tar: it is neither a tar file nor a zip file|damaged"):
        listing(tmp_path / "x.tar")


def test_damage_within_a_tar_file(tmp_path):
    """A header that is none does not pass for the end of the archive, compressed or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a.png", "b.png", "c.png"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
    contents = bytearray(buffer.getvalue())
    path = tmp_path / "x.tar"
    path.write_bytes(contents)
    assert list(listing(path)) == ["a.png", "b.png", "c.png"]
    path.write_bytes(contents[: 2 * 1024])  # after the second file
    with pytest.raises(DataError, match=r"x\.tar: the archive is damaged: the mark of its end"):
        listing(path)
    contents[1024 + 4] ^= 1  # in the name of the second file
    for damaged in (contents, gzip.compress(contents)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.tar: the archive is damaged: .* at byte 1024"):
            listing(path)
    path.write_bytes(gzip.compress(buffer.getvalue())[:-8] + bytes(8))  # the checksum
    with pytest.raises(DataError, match=r"x\.tar: it cannot be read: CRC check failed"):
        listing(path)


def test_a_tar_file_in_a_tar_file(tmp_path):
    def tar(mode, **entries):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for name, contents in entries.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(contents)
                archive.addfile(entry, io.BytesIO(contents))
        return buffer.getvalue()

    inner = {"one": tar("w", x=b"one x", y=b"one y"), "two": tar("w:gz", x=b"two x")}
    for mode in ("w", "w:gz"):
        path = tmp_path / "outer.tar"
        path.write_bytes(tar(mode, **inner))
        outer = listing(path)
        found = {name: members(name, outer[name]) for name in inner}
        assert {n: {k: f.read() for k, f in part.items()} for n, part in found.items()} == {
            "one": {"x": b"one x", "y": b"one y"},
            "two": {"x": b"two x"},
        }
        assert (found["one"]["y"].path == path) == (mode == "w"), "only its place is kept"


def test_names_as_other_programs_write_them(tmp_path):
    """From the root or above, or with backslashes; nothing lies outside of the archive."""
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for name in ("train\\a\\1.png", "/train/a/2.png", "../../train/a/3.png"):
            target.writestr(name, b"x")
    assert list(contents(listing(archive))) == [f"train/a/{i}.png" for i in (1, 2, 3)]
    (tmp_path / "half.zip").write_bytes(archive.read_bytes()[:60])
    with pytest.raises(DataError, match=r"half\.zip: the zip file is damaged or incomplete"):
        listing(tmp_path / "half.zip")


def test_what_a_message_says_of_files(tmp_path):
    write(tmp_path, "a.tgz")
    assert is_archive("x/a.tgz") and is_archive("a.tar.gz") and not is_archive("a.gz")
    for name in ("b/1", "b/2", "3.HEIC"):
        write(tmp_path, name)
    assert types_of(listing(tmp_path)) == "files: 2 of no type, 1 of .heic, 1 of .tgz"
    assert types_of({}) == "no files"
