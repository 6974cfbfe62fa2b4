"""`config.toml` in a run's folder: the options of the run, and all settings that came of them.

    [train]      what `minicnn train --config` takes, by the names of its options
    [settings]   all settings that change the result, as the checkpoint has them; to read
    [versions]   what the run was computed with

Only flat tables of numbers, texts and lists are written, for which JSON's form is TOML's.
"""

import json
import os
import platform
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import CheckpointError
from .callbacks import Callback
from .history import remove

if TYPE_CHECKING:
    from .trainer import Trainer

FILE = "config.toml"
PACKAGES = ("numpy", "numba", "cupy-cuda12x", "cupy-cuda13x")
HEAD = "# The configuration of this run. To repeat it: minicnn train --config {name} --out FOLDER\n"


class SaveConfiguration(Callback):
    """Write `config.toml` into the run's folder before the first step.

    command: the command line, if there is one. options: those of `minicnn train`; the seed, the
    number of epochs, the batch size and the learning rate are added.
    """

    is_output = True

    def __init__(self, command: str = "", options: Mapping[str, Any] | None = None):
        self.command, self.options = command, dict(options or {})

    def on_train_start(self, trainer: "Trainer") -> None:
        if trainer.out is None:
            return
        used: dict[str, Any] = {"epochs": trainer.epochs, "batch_size": trainer.loader.batch_size}
        used |= {"lr": trainer.base_lr, "seed": trainer.loader.seed}
        tables = {"train": self.options | used} if self.options else {}
        tables |= {"settings": _readable(trainer), "versions": versions()}
        write(trainer.out / FILE, tables, self.command)


def versions() -> dict[str, str]:
    """The versions of Python, minicnn, and the libraries that compute."""
    found = {"python": platform.python_version(), "minicnn": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"machine": f"{platform.system()} {platform.machine()}"}


def _readable(trainer: "Trainer") -> dict[str, Any]:
    """The run's settings; of the multipliers, only those that are not 1."""
    settings = {"epochs": trainer.epochs} | trainer.configuration
    return {
        key: {k: v for k, v in value.items() if v != [1.0, 1.0]}
        if isinstance(value, dict)
        else value
        for key, value in settings.items()
    }


def write(path: Path, tables: Mapping[str, Mapping[str, Any]], command: str = "") -> None:
    """Write the tables as TOML; None is left out. Raises CheckpointError if that cannot be done."""
    lines = [HEAD.format(name=path)]
    lines += [f"# Command: {' '.join(command.splitlines())}\n"] if command else []
    for name, table in tables.items():
        lines += _table(name, table)
    temporary = path.with_name(f".{path.name}.part")
    try:
        # Names of files that the locale cannot express are written as the bytes that they are.
        temporary.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        remove(temporary)


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    """The lines of a table; the tables within it come last."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"\n[{name}]\n"]
    for key, value in table.items():
        if value is not None and key not in inner:
            lines.append(f"{_key(key)} = {_value(value)}\n")
    for key, value in inner.items():
        lines += _table(f"{name}.{_key(key)}", value) if value else []
    return lines


def _value(value: Any) -> str:
    """A number, text or list in TOML; a text of several lines as such."""
    if isinstance(value, str) and "\n" in value:
        body = "\n".join(json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n"))
        return f'"""\n{body}"""'
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key, ensure_ascii=False)


def read(path: str | Path) -> dict[str, Any]:
    """The tables of such a file. Raises CheckpointError that names the file and what is wrong."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: it is not a TOML file: {error}") from None
