"""`course`: twelve steps from one convolution to a network of one's own; `docs`: the documents."""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from ..files import replacing
from ..text import hint
from .app import app, console

FORM = re.compile(r"(?P<text>.*)\nChange: (?P<change>.*)\nThen: (?P<then>.*)", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A script of the course. change, then: what to change in it, and what should then happen."""

    number: int
    path: Path
    text: str
    change: str
    then: str

    @property
    def title(self) -> str:
        """The first line of its text, without the point."""
        return self.text.partition("\n")[0].rstrip(".")


def steps() -> list[Step]:
    """The scripts of the course, in their order; the docstring of each has its texts."""
    found = []
    for path in sorted(_folder("examples").glob("[0-9]*.py")):
        source = ast.parse(path.read_text(encoding="utf-8"))
        match = FORM.fullmatch(ast.get_docstring(source) or "")
        assert match, f"{path}: its docstring has no lines Change: and Then:"
        change, then = (" ".join(match[part].split()) for part in ("change", "then"))
        found.append(Step(int(path.stem[:2]), path, match["text"].strip(), change, then))
    return found


def _folder(name: str) -> Path:
    """A folder of the installed package."""
    return Path(str(resources.files(f"minicnn.{name}").joinpath("__init__.py"))).parent


@app.command("course")
def course_command(
    number: Annotated[
        int | None, typer.Argument(help="Print this step; without it, list all steps.")
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the step; it writes its pictures into this folder.")
    ] = False,
    copy: Annotated[
        Path | None, typer.Option(help="Copy the scripts into this folder, to edit them.")
    ] = None,
    notebooks: Annotated[
        bool, typer.Option("--notebooks", help="With --copy: notebooks in place of scripts.")
    ] = False,
) -> None:
    """A course in twelve steps, from one convolution by hand to your own network on your images.

    Each step is a script of a page that runs in less than a minute, offline.
    """
    course = steps()
    if number is not None and not 1 <= number <= len(course):
        raise ValueError(f"course {number}: expected a step from 1 to {len(course)}")
    chosen = course if number is None else [course[number - 1]]
    if run and number is None:
        raise ValueError("--run: expected the number of a step, such as minicnn course 1 --run")
    if run and copy:
        raise ValueError("--run and --copy cannot be used together")
    if notebooks and not copy:
        raise ValueError("--notebooks belongs to --copy FOLDER")
    if copy:
        _copy([_notebook(step) for step in chosen] if notebooks else [s.path for s in chosen], copy)
    elif number is None:
        _list(course)
    else:
        _show(chosen[0])
        if run:
            _run(chosen[0].path)


def _list(course: list[Step]) -> None:
    for step in course:
        _wrapped(f"{step.number:2}  ", step.title, "bold")
        for word, text in (("change", step.change), ("then", step.then)):
            _wrapped(f"    {word:8}", text)
    console.print(
        "\nminicnn course 1 prints a step, --run runs it, --copy FOLDER copies all of them",
        soft_wrap=True,
    )


def _wrapped(start: str, text: str, style: str = "") -> None:
    """Print a paragraph whose lines begin below the first word behind `start`."""
    wide, later = min(console.width, 100), " " * len(start)
    for line in textwrap.wrap(text, wide, initial_indent=start, subsequent_indent=later):
        console.print(line, soft_wrap=True, style=style)


def _show(step: Step) -> None:
    text = f"{step.number}. {step.text}\n\nChange: {step.change}\nThen: {step.then}\n"
    console.print(f"{text}\nscript: {step.path}", soft_wrap=True)


def _run(path: Path) -> None:
    console.print()
    code = subprocess.run([sys.executable, str(path)], check=False).returncode
    if code:
        raise typer.Exit(code)


def _notebook(step: Step) -> Path:
    return step.path.parent / "notebooks" / f"{step.path.stem}.ipynb"


def _copy(files: list[Path], folder: Path) -> None:
    """Copy the files, or none of them if one is there already."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ValueError(f"--copy {folder}: expected a folder; {path} is a file")
    there = [file.name for file in files if (folder / file.name).exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ValueError(f"{folder} has {there[0]}{more} already; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with replacing(folder / file.name) as copy:
            copy.write(file.read_bytes())
    console.print(f"{folder}: {', '.join(file.name for file in files)}", soft_wrap=True)


def pages() -> dict[str, Path]:
    """The documents by name; a folder of them is called like the folder."""
    folder = _folder("docs")
    return {_page_name(path.relative_to(folder)): path for path in _pages_in(folder)}


def _pages_in(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.md"))
    for inner in sorted(folder.glob("*/README.md")):
        yield inner
        yield from sorted(set(inner.parent.glob("*.md")) - {inner})


def _page_name(path: Path) -> str:
    return path.with_suffix("").as_posix().removesuffix("/README")


@app.command("docs")
def docs_command(
    name: Annotated[
        str | None, typer.Argument(help="Print this page; without it, list all pages.")
    ] = None,
    path: Annotated[
        bool, typer.Option("--path", help="Print only where the page is, for an editor.")
    ] = False,
) -> None:
    """List the documents, or print one."""
    found = pages()
    if name is None:
        for page, file in found.items():
            heading = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
            console.print(f"{page:40} {file if path else heading}", soft_wrap=True)
        return
    name = name.removeprefix("docs/").removesuffix(".md")
    if name not in found:
        meant = hint(name, found, f"expected one of {', '.join(found)}")
        raise ValueError(f"docs {name}: there is no such page; {meant}")
    if path:
        console.print(str(found[name]), soft_wrap=True)
        return
    text = found[name].read_text(encoding="utf-8")
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        console.print(text, end="", soft_wrap=True)
