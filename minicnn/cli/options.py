"""Options of a command as one dataclass, and their values from a file."""

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import CheckpointError, brief
from ..training import config_file

Command = Callable[..., None]
TABLE = "train"  # of the file


def with_options(kind: type) -> Callable[[Command], Command]:
    """Decorate `command(options: kind)`; each field of the dataclass becomes an option of it."""

    def decorate(function: Command) -> Command:
        def command(**values: Any) -> None:
            function(kind(**values))

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        hints = typing.get_type_hints(kind, include_extras=True)
        parameters = inspect.signature(kind).parameters.values()
        known = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in parameters]
        command.__signature__ = inspect.Signature(known)  # type: ignore[attr-defined]
        command.__annotations__ = hints
        return command

    return decorate


def config_option(kind: Callable[[], type]) -> Any:
    """The type of an option `--config FILE`, whose `[train]` has values of other options.

    Options on the command line come before the file. kind: returns the dataclass of the options.
    """

    def load(context: typer.Context, path: Path | None) -> Path | None:
        if path is not None:
            context.default_map = values_in(path, kind())
        return path

    return Annotated[
        Path | None,
        typer.Option(
            is_eager=True, callback=load, help="Take the options that are not given from this file."
        ),
    ]


def values_in(path: Path, kind: type) -> dict[str, Any]:
    """The options in the file. Raises CheckpointError for an unknown one, or a value of no use."""
    table = config_file.read(path).get(TABLE)
    if not isinstance(table, dict):
        raise CheckpointError(f"{path}: it has no table [{TABLE}] with options of minicnn train")
    hints = typing.get_type_hints(kind, include_extras=True)
    known = {field.name: hints[field.name] for field in fields(kind) if field.name != "config"}
    found = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise CheckpointError(
                f"{path}: {key} = {brief(value)}: expected one of {', '.join(known)}"
            )
        hint, *details = typing.get_args(known[name])
        if not _fits(value, hint, *details):
            wanted = _wanted(hint, *details)
            raise CheckpointError(f"{path}: {key} = {brief(value)}: expected {wanted}")
        found[name] = value
    return found


def _kinds(hint: Any) -> tuple[Any, ...]:
    """`int | None` -> `(int,)`."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return tuple(h for h in typing.get_args(hint) if h is not type(None)) if is_union else (hint,)


def _fits(value: Any, hint: Any, details: Any) -> bool:
    """True for a value of the annotated type, within the option's range."""
    kind = _kinds(hint)[0]
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind is float and type(value) is int:
        kind = int
    if type(value) is not (str if kind is Path else kind):
        return False
    low, high = getattr(details, "min", None), getattr(details, "max", None)
    return (low is None or value >= low) and (high is None or value <= high)


def _wanted(hint: Any, details: Any) -> str:
    """The values that `_fits`, in words."""
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "text",
    }
    text = words.get(_kinds(hint)[0], "a list of texts")
    low, high = getattr(details, "min", None), getattr(details, "max", None)
    limits = [f"at least {low}"] if low is not None else []
    limits += [f"at most {high}"] if high is not None else []
    return " ".join([text, *([f"({', '.join(limits)})"] if limits else [])])
