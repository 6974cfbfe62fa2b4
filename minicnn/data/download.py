"""Downloads: several mirrors, timeouts, retries and a checksum.

A file gets its final name only when it is complete and verified.
"""

import errno
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import DataError

TIMEOUT = 15  # seconds without a byte
ROUNDS = 2  # times that each mirror is tried
BLOCK = 1 << 16


def cache_folder() -> Path:
    """The folder of data sets: the environment variable MINICNN_DATA, or the platform's cache."""
    configured = os.environ.get("MINICNN_DATA")
    if configured:
        return Path(configured).expanduser()
    import platformdirs  # not needed if the folder is given

    return Path(platformdirs.user_cache_dir("minicnn", appauthor=False))


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    urls: Sequence[str],
    target: Path,
    checksum: str,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fetch one file from the first of `urls` that has it, verify it, and move it to `target`.

    checksum: its SHA-256, or the beginning of it. `progress(done, total)` is called with bytes;
    total is 0 if the server does not send it.
    Raises DataError with the answer of each mirror, OSError if the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "the folder is not writable", str(target.parent))
    faults: dict[str, str] = {}
    for _ in range(ROUNDS):
        for url in urls:
            try:
                _fetch(url, target, checksum, progress)
                return
            except (OSError, http.client.HTTPException, DataError) as error:
                faults[url] = _reason(error)
        if all("not reachable" in fault for fault in faults.values()):
            break  # there is no network: asking again will not help
    answers = "; ".join(f"{url}: {fault}" for url, fault in faults.items())
    raise DataError(f"{target.name} could not be downloaded ({answers})")


def _fetch(
    url: str, target: Path, checksum: str, progress: Callable[[int, int], None] | None
) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(url, timeout=TIMEOUT) as response,
        ):
            total, done = int(response.headers.get("Content-Length") or 0), 0
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
        if total and done != total:
            raise DataError(f"the connection ended after {done} of {total} bytes")
        found = sha256(Path(temporary))
        if not found.startswith(checksum):
            raise DataError(f"its SHA-256 is {found[:12]}..., expected {checksum[:12]}...")
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, urllib.error.URLError):
        reason = error.reason
        return "timed out" if isinstance(reason, TimeoutError) else f"not reachable ({reason})"
    return str(error) or type(error).__name__
