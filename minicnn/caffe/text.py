"""Protobuf's text format, in which Caffe's networks are described (.prototxt files).

    field   = name ":" value | name [":"] "{" field ... "}"
    value   = number | "text" | 'text' | word | "[" value "," ... "]"

Fields may be separated by `,` or `;`, and `#` starts a comment. A general protobuf library would
need Caffe's generated classes for this; the reader below needs only the field names in `schema`.
Source: protobuf.dev, "Text Format Language Specification".
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError
from .message import Message
from .schema import MESSAGES, Field

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<word>[A-Za-z_][\w./]*)|(?P<number>[-+]?(\d|\.\d)[\w.+-]*|-\s*inf\w*)
    |(?P<text>"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*')|(?P<mark>[{}<>:;,\[\]])""",
    re.VERBOSE,
)
ENDS = {"{": "}", "<": ">"}
TRUTHS = dict.fromkeys(("true", "True", "t", "1"), True)
TRUTHS |= dict.fromkeys(("false", "False", "f", "0"), False)


class Token(NamedTuple):
    """A word, number, text or mark, and its line."""

    kind: str
    text: str
    line: int


class Tokens:
    """The tokens of a text, read from left to right."""

    def __init__(self, text: str):
        self._rest = _tokens(text)
        self.next = next(self._rest)

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.next
        self.next = next(self._rest, token)  # the last one is the end
        return token

    def skip(self, marks: str) -> bool:
        """Take the next token if it is one of these marks."""
        found = self.next.kind == "mark" and self.next.text in marks
        if found:
            self.take()
        return found

    def fail(self, expected: str, token: Token) -> CheckpointError:
        """The error that another token was expected."""
        found = f"{token.text!r}" if token.text else "its end"
        return CheckpointError(f"line {token.line} has {found}; expected {expected}")


def _tokens(text: str) -> Iterator[Token]:
    position, line = 0, 1
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise CheckpointError(f"line {line} has {text[position]!r}, which has no meaning there")
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), line)
        line += match.group().count("\n")
        position = match.end()
    yield Token("end", "", line)


def read_text(text: str, kind: str) -> Message:
    """The message of that kind in a text. Raises CheckpointError that names the line."""
    tokens = Tokens(text)
    return _message(tokens, kind, "end", "")


def _message(tokens: Tokens, kind: str, end_kind: str, end: str) -> Message:
    """The fields up to the mark or end of text that closes the message."""
    message = Message(kind)
    while (tokens.next.kind, tokens.next.text) != (end_kind, end):
        token = tokens.take()
        if token.kind != "word":
            raise tokens.fail("the name of a field" + (f", or {end!r}" if end else ""), token)
        field = MESSAGES[kind].get(token.text)
        values = _values(tokens, field or Field(token.text, 0, "-", True), kind)
        if field is None:
            message.unknown.append(token.text)
            message.unknown_messages += [token.text for v in values if isinstance(v, Message)]
        else:
            message.values.setdefault(field.name, []).extend(values)
        tokens.skip(",;")
    tokens.take()
    return message


def _values(tokens: Tokens, field: Field, kind: str) -> Iterator[Any]:
    has_colon = tokens.skip(":")
    listed = has_colon and tokens.skip("[")
    if listed and tokens.skip("]"):
        return
    while True:
        if tokens.next.kind == "mark" and tokens.next.text in ENDS:
            end = ENDS[tokens.take().text]
            if field.type == "-":
                _skip(tokens, end)
                yield Message("-")
            elif field.type in MESSAGES:
                yield _message(tokens, field.type, "mark", end)
            else:
                raise CheckpointError(
                    f"line {tokens.next.line}: {kind}.{field.name} is a message; "
                    f"expected {field.type}"
                )
        elif has_colon:
            yield _scalar(tokens, field, kind)
        else:
            raise tokens.fail(f"':' or '{{' after {field.name}", tokens.next)
        if not listed:
            return
        if not tokens.skip(","):
            if not tokens.skip("]"):
                raise tokens.fail("',' or ']'", tokens.next)
            return


def _skip(tokens: Tokens, end: str) -> None:
    """Skip a message, and those inside of it, up to the mark `end`."""
    ends = [end]
    while ends:
        token = tokens.take()
        if token.kind == "end":
            raise tokens.fail(repr(ends[-1]), token)
        if token.kind == "mark" and token.text in ENDS:
            ends.append(ENDS[token.text])
        elif token.kind == "mark" and token.text == ends[-1]:
            ends.pop()


def _scalar(tokens: Tokens, field: Field, kind: str) -> Any:
    token = tokens.take()
    if token.kind not in ("word", "number", "text"):
        raise tokens.fail(f"the value of {field.name}", token)
    text = token.text
    if token.kind == "text":
        text = _unquoted(token)
        while tokens.next.kind == "text":  # neighbors are one text
            text += _unquoted(tokens.take())
    try:
        return _converted(field, token.kind, text)
    except (ValueError, KeyError, IndexError):
        expected = "one of " + ", ".join(field.words[:12]) if field.words else field.type
        raise CheckpointError(
            f"line {token.line}: {kind}.{field.name} is {text}; expected {expected}"
        ) from None


def _unquoted(token: Token) -> str:
    try:
        return str(ast.literal_eval(token.text))
    except (ValueError, SyntaxError):
        raise CheckpointError(f"line {token.line} has the damaged text {token.text}") from None


def _converted(field: Field, kind: str, text: str) -> Any:
    """The value in the type of the field. Raises ValueError."""
    if field.type == "-":
        return True
    if field.type == "string":
        if kind != "text":
            raise ValueError
        return text
    if kind == "text":
        raise ValueError
    if field.type == "bool":
        return TRUTHS[text]
    if field.type == "enum":
        return text if text in field.words else dict(enumerate(field.words))[int(text)]
    if field.type == "int":
        return int(text, 0)
    if field.type in ("float", "double"):
        return float(text.rstrip("fF") if kind == "number" else text)
    raise ValueError


def write_text(message: Message, indent: str = "") -> str:
    """The message in the text format, one field per line, without fields that the schema skips."""
    lines = []
    for name, values in message.values.items():
        field = MESSAGES[message.kind][name]
        if field.type == "-":
            continue
        for value in values:
            if isinstance(value, Message):
                inner = write_text(value, indent + "  ")
                lines.append(f"{indent}{name} {{\n{inner}{indent}}}\n")
            else:
                lines.append(f"{indent}{name}: {_written(field, value)}\n")
    return "".join(lines)


def _written(field: Field, value: Any) -> str:
    if field.type == "string":
        return json.dumps(value, ensure_ascii=False)
    if field.type == "bool":
        return str(bool(value)).lower()
    return str(np.float32(value)) if field.type == "float" else str(value)
