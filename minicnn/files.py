"""Writing files so that a crash, a kill or a full disk leaves the old file intact.

And so that two processes do not write to the folder of one run.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import TrainingError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` when the block ends without an error.

    The new file is written beside the old one and renamed once it is on the disk, so `path`
    is at any time either the old file or the complete new one. If anything fails, the new file is
    removed. A symbolic link is followed.
    Raises OSError that names `path` if the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    # Not derived from the file's name, which may have the greatest length that is allowed.
    temporary = target.with_name(f".minicnn-{secrets.token_hex(8)}.part")
    try:
        if target.exists() and not target.is_file():
            raise OSError(0, "it is not a regular file")
        with temporary.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, temporary)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    _sync_folder(target.parent)


@contextmanager
def held(folder: Path | None) -> Iterator[None]:
    """Keep the folder of a run to this process. The lock ends with the process, however it ends.

    A file system without locks, and Windows, do not notice a second process.
    Raises TrainingError if another process holds the folder.
    """
    if folder is None or fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise TrainingError(f"{folder}: another run is being written there now") from None
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Flush the renaming itself to the disk. Not every file system can; the file is in place."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
