"""Schedules from text, as on the command line: `cosine`, `step(30, 0.1)`, `multistep([80, 120])`.

The text is a name from `SCHEDULES` and, in parentheses, the arguments of its class as Python
literals. Nothing is executed.
"""

import ast
import inspect
import math
from typing import Any, get_type_hints

from ..errors import brief
from .schedules import SCHEDULES, Schedule


def parse_schedule(text: str) -> Schedule:
    """The schedule in that text. Raises ValueError that names what does not fit."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        node = None
    call = node if isinstance(node, ast.Call) else None
    name = call.func if call else node
    if not isinstance(name, ast.Name):
        raise ValueError(
            f"schedule={brief(text)}: expected a name or name(arguments), as step(30, 0.1)"
        )
    if name.id not in SCHEDULES:
        raise ValueError(f"schedule={brief(text)}: expected one of {', '.join(SCHEDULES)}")
    kind = SCHEDULES[name.id]
    signature = inspect.signature(kind)
    known = f"{name.id}{signature}"
    try:
        positional = [_literal(a, text) for a in call.args] if call else []
        named = {str(k.arg): _literal(k.value, text) for k in call.keywords} if call else {}
        arguments = signature.bind(*positional, **named).arguments
    except TypeError as error:
        raise ValueError(f"schedule={brief(text)}: {error}; expected {_plain(known)}") from None
    hints = get_type_hints(kind.__init__)
    for argument, value in arguments.items():
        if not _fits(value, hints[argument]):
            raise ValueError(
                f"schedule={brief(text)}: {argument} is {value!r}; expected "
                f"{_wanted(hints[argument])}"
            )
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ValueError(f"schedule={brief(text)}: {error}") from None


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        found = ast.unparse(node)
        raise ValueError(
            f"schedule={brief(text)}: {found} is not a number, text in quotes, list or dict"
        ) from None


def _plain(signature: str) -> str:
    """A signature without the types."""
    return signature.replace("collections.abc.", "").replace(" -> None", "")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _fits(value: Any, hint: Any) -> bool:
    """True if a literal is of the annotated type."""
    if hint is int:
        return type(value) is int
    if hint is float:
        return _is_number(value)
    if hint is str:
        return isinstance(value, str)
    if getattr(hint, "__origin__", None) is dict:
        numbers = [*value.keys(), *value.values()] if isinstance(value, dict) else [None]
        return bool(numbers) and all(map(_is_number, numbers))
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_number, value))


def _wanted(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text in quotes"}
    if getattr(hint, "__origin__", None) is dict:
        return "a dict of numbers, as {0: 1, 2: 0.4}"
    return names.get(hint, "a list of numbers, as [80, 120]")
