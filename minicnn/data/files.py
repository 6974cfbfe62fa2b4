"""The files in a folder, a tar file or a zip file, by name; nothing is unpacked to disk."""

import io
import os
import posixpath
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import DataError

NO_DATA = ("__MACOSX",)  # what macOS adds to archives
CHUNK = 1 << 20  # bytes
ZIP_HEADER = 30  # bytes before an entry's name
ARCHIVES = (".zip", ".tgz", ".tbz2", ".txz")
MOST = 5  # types of files that a message names


@dataclass(frozen=True)
class File:
    """One entry of a folder or archive: how to read it, and whether it is a folder.

    path, first: the file on disk, and the position in it, at which the contents begin; None for
        contents that are compressed.
    """

    read: Callable[[], bytes]
    is_folder: bool = False
    path: Path | None = None
    first: int = 0


Files = dict[str, File]


def file_at(path: Path) -> File:
    """A file on disk."""
    return File(path.read_bytes, path.is_dir(), path)


def listing(source: Path) -> Files:
    """The files and folders in a folder or archive by their path within it, in order.

    Hidden ones are left out. Symbolic links are followed. Names are in Unicode's composed form
    (NFC), since macOS decomposes an accented letter and other systems do not.
    Raises DataError if the archive is damaged.
    """
    entries = _folder(source) if source.is_dir() else _archive(source).items()
    files: Files = {}
    spelled: dict[str, str] = {}
    for spelling, file in entries:
        name = unicodedata.normalize("NFC", spelling)
        if spelled.setdefault(name, spelling) != spelling:
            raise DataError(f"{source}: two files are called {name}, in two spellings of Unicode")
        files[name] = file  # of an archive's files with one name the last one counts
    return dict(sorted(files.items()))


def stem(source: Path) -> str:
    """The name of a folder or archive without its suffixes."""
    return source.name.partition(".")[0] or source.name


def is_archive(name: str) -> bool:
    """True for the name of a tar or zip file."""
    return ".tar" in name or name.lower().endswith(ARCHIVES)


def types_of(files: Files) -> str:
    """How many files there are of which type, in words: "files: 3 of .txt, 1 of no type"."""
    kinds = Counter(PurePosixPath(p).suffix.lower() for p, f in files.items() if not f.is_folder)
    parts = [f"{n} of {kind or 'no type'}" for kind, n in kinds.most_common(MOST)]
    more = ["others"] if len(kinds) > MOST else []
    return f"files: {', '.join([*parts, *more])}" if kinds else "no files"


def _is_data(name: str) -> bool:
    return not any(part.startswith(".") or part in NO_DATA for part in PurePosixPath(name).parts)


def _folder(
    folder: Path, prefix: str = "", above: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[str, File]]:
    """`above`: the folders on the way here, so that a link to one of them ends."""
    about = folder.stat()
    identity = about.st_dev, about.st_ino
    if identity in above:
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path, name = Path(entry.path), prefix + entry.name
            if not _is_data(entry.name) or not path.exists():  # a link that leads nowhere
                continue
            yield name, File(path.read_bytes, entry.is_dir(), path)
            if entry.is_dir():
                yield from _folder(path, f"{name}/", (*above, identity))


def members(name: str, file: File) -> Files:
    """The files in a tar file that is an entry itself, of a folder or of another tar file.

    Of a plain one, only the places of the files are kept.
    Raises DataError that calls it by `name` if it is damaged.
    """
    on_disk = file.path
    with _readable(name), open(on_disk, "rb") if on_disk else io.BytesIO(file.read()) as stream:
        stream.seek(file.first)
        with tarfile.open(fileobj=stream) as archive:
            return _tar(file.path or Path(name), archive)


def _archive(source: Path) -> Files:
    with _readable(source):
        if zipfile.is_zipfile(source):
            return _zip(source)
        if _starts_as_zip(source):
            raise DataError(
                f"{source}: the zip file is damaged or incomplete: it has no directory at its end"
            )
        with tarfile.open(source) as archive:
            return _tar(source, archive)


@contextmanager
def _readable(source: Path | str) -> Iterator[None]:
    """Whatever fails in the block of `with` becomes a DataError that names the archive."""
    try:
        yield
    except DataError:
        raise
    except tarfile.ReadError as error:
        if "\n" in str(error) or "could not be opened" in str(error):
            raise DataError(f"{source}: it is neither a tar file nor a zip file") from None
        raise DataError(f"{source}: the archive is damaged: {error}") from None
    except OSError as error:
        raise DataError(f"{source}: it cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zlib, lzma, bz2 and zipfile have their own exceptions
        raise DataError(f"{source}: the archive is damaged: {error}") from None


def _starts_as_zip(source: Path) -> bool:
    with open(source, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _inside(name: str) -> str:
    """The path of an entry within its archive, though it may be written as from the root or above.

    As tar and unzip have it, `/a/1.png` and `../a/1.png` are `a/1.png`.
    """
    return PurePosixPath(posixpath.normpath("/" + name).lstrip("/")).as_posix()


def _target(name: str, link: str) -> str:
    """Where a symbolic link of that name leads, from the archive's root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _followed(found: Files, links: dict[str, str]) -> Files:
    """The entries with those behind links, `{name: target}`, to files and to folders.

    Links that lead nowhere, out of the archive, or to a folder that they are in, are left out.
    """
    found = dict(found)
    links = {name: to for name, to in links.items() if not f"{name}/".startswith(f"{to}/")}
    while links:
        folders = {str(parent) for path in found for parent in PurePosixPath(path).parents}
        behind = {
            name: _behind(found, links, name, to)
            for name, to in links.items()
            if to in found or to in folders
        }
        if not any(behind.values()):
            break
        for name, entries in behind.items():
            if entries:
                found |= entries
                del links[name]
    return found


def _behind(found: Files, links: dict[str, str], name: str, target: str) -> Files:
    """The entries that a link brings; none while there are links within its target."""
    if target in found and not found[target].is_folder:
        return {name: found[target]}
    if any(f"{other}/".startswith(f"{target}/") for other in links):
        return {}
    return {
        name + path[len(target) :]: file
        for path, file in found.items()
        if f"{path}/".startswith(f"{target}/")
    }


def _tar(source: Path, archive: tarfile.TarFile) -> Files:
    """A compressed archive is read once and kept; of another one, only places are kept."""
    is_plain = isinstance(archive.fileobj, io.BufferedReader)
    found, links = Files(), dict[str, str]()
    for member in archive:
        name = _inside(member.name)
        if not _is_data(name):
            continue
        if member.isdir():
            found[name] = File(bytes, is_folder=True)
        elif member.islnk():
            links[name] = _inside(member.linkname)
        elif member.issym():
            links[name] = _target(name, member.linkname)
        elif member.isfile():
            if is_plain and not member.issparse():
                place = partial(_read_part, source, member.offset_data, member.size)
                found[name] = File(place, path=source, first=member.offset_data)
            else:
                data = archive.extractfile(member).read()  # type: ignore[union-attr]
                found[name] = File(io.BytesIO(data).getvalue)
    stream = archive.fileobj
    if stream is not None:  # tarfile takes a header that is none for the end
        stream.seek(archive.offset)
        end = stream.read(tarfile.BLOCKSIZE)
        if any(end):
            raise tarfile.ReadError(f"there is no header at byte {archive.offset}")
        if not end:
            raise tarfile.ReadError("the mark of its end is missing")
        while not is_plain and stream.read(CHUNK):  # behind the last byte is a checksum
            pass
    return _followed(found, links)


def _read_part(path: Path, first: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(first)
        return file.read(size)


def _zip(source: Path) -> Files:
    """Of entries, only places are kept, so that another process can read them without a listing.

    Those of rare compressions are read by `zipfile`, which keeps the archive open.
    """
    archive, found, links = zipfile.ZipFile(source), Files(), dict[str, str]()
    for info in archive.infolist():
        name = _inside(info.filename.replace("\\", "/"))  # as old programs on Windows wrote
        if not _is_data(name):
            continue
        if info.flag_bits & 1:
            raise DataError(f"{source}: {name} is encrypted")
        if stat.S_ISLNK(info.external_attr >> 16):
            links[name] = _target(name, archive.read(info).decode("utf-8", "surrogateescape"))
        elif info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            place = info.header_offset, info.compress_size, info.compress_type, info.CRC
            found[name] = File(partial(_read_zipped, source, *place), info.is_dir())
        else:
            found[name] = File(partial(archive.read, info), info.is_dir())
    return _followed(found, links)


def _read_zipped(path: Path, first: int, size: int, method: int, checksum: int) -> bytes:
    """An entry whose header is at `first` and whose contents have `size` bytes there."""
    with open(path, "rb") as file:
        file.seek(first)
        name, extra = struct.unpack("<26xHH", file.read(ZIP_HEADER))  # their lengths, behind it
        file.seek(name + extra, os.SEEK_CUR)
        data = file.read(size)
    data = data if method == zipfile.ZIP_STORED else zlib.decompress(data, -zlib.MAX_WBITS)
    if zlib.crc32(data) != checksum:
        raise zipfile.BadZipFile("its checksum is wrong")
    return data
