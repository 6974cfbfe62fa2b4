"""Where each file of the repository is in the site, and links that are rewritten accordingly.

Pages are Markdown files that also work on GitHub, so their links are those of the repository.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs"
# Pages outside of docs/, by their place in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "published_results.md",
}
PICTURES = (".png", ".svg", ".jpg")
LANGUAGES = {".py": "python", ".cu": "cuda", ".cuh": "cuda", ".toml": "toml", ".json": "json"}
LANGUAGES |= {".md": "markdown", ".txt": "text", ".cfg": "ini"}

LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?((?:\s[^)]*)?\))")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")


def links(markdown: str) -> Iterator[tuple[str, str]]:
    """`(target, anchor)` of every link and picture outside of code; external ones are left out."""
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", markdown))):
        target, anchor = match[2], match[3] or ""
        if not target.startswith(("http:", "https:", "mailto:")):
            yield target, anchor


def resolve(origin: str, target: str) -> str:
    """The path in the repository that `target`, in the file `origin`, leads to."""
    if not target:
        return origin
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def place(path: str) -> str:
    """Where that file or folder of the repository is in the site. Raises FileNotFoundError."""
    if not (ROOT / path).exists():
        raise FileNotFoundError(f"{path}: there is no such file in the repository")
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path == f"{DOCS}/derivations":
        return "derivations/README.md"
    if path.startswith(f"{DOCS}/") and path.endswith((".md", *PICTURES)):
        return path.removeprefix(f"{DOCS}/")
    if path.endswith(PICTURES):
        return f"images/{path.replace('/', '_')}"
    return f"source/{path}.md"


def rewritten(markdown: str, origin: str, here: str) -> str:
    """The Markdown of the repository's file `origin` with the links of the site's page `here`."""

    def change(match: re.Match[str]) -> str:
        target = match[2]
        if not target or target.startswith(("http:", "https:", "mailto:")):
            return match[0]
        found = relative(here, place(resolve(origin, target)))
        return f"{match[1]}{found}{match[3] or ''}{match[4]}"

    return outside_of_code(markdown, lambda text: LINK.sub(change, text))


def outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change the text between blocks of code."""
    parts, end = [], 0
    for block in FENCE.finditer(markdown):
        parts += [change(markdown[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, change(markdown[end:])])


def relative(here: str, there: str) -> str:
    """The relative link from one page of the site to another."""
    return posixpath.relpath(there, posixpath.dirname(here) or ".")


def pages() -> dict[str, str]:
    """Every Markdown page that the site has, by its path in the repository: its place."""
    docs = sorted((ROOT / DOCS).rglob("*.md"))
    found = [*OUTSIDE, *(path.relative_to(ROOT).as_posix() for path in docs)]
    return {path: place(path) for path in found}


def linked_sources(paths: Iterator[str] | list[str]) -> list[str]:
    """The source files and folders that are links' targets, with the contents of these folders."""
    found: set[str] = set()
    for path in paths:
        text = (ROOT / path).read_text(encoding="utf-8")
        found |= {resolve(path, target) for target, _ in links(text)}
    sources = {path for path in found if place(path).startswith("source/")}
    for folder in [path for path in sources if (ROOT / path).is_dir()]:
        sources |= {child.relative_to(ROOT).as_posix() for child in contents(folder)}
    return sorted(sources)


def linked_pictures(paths: list[str]) -> dict[str, str]:
    """The pictures outside of docs/ that are targets: their places by their paths."""
    found = {}
    for path in paths:
        for target, _ in links((ROOT / path).read_text(encoding="utf-8")):
            file = resolve(path, target)
            if file.endswith(PICTURES) and not file.startswith(f"{DOCS}/"):
                found[file] = place(file)
    return found


def contents(folder: str) -> list[Path]:
    """The files and folders below a folder that are sources, sorted."""
    found = []
    for path in sorted((ROOT / folder).iterdir()):
        if path.is_dir() and path.name != "__pycache__" and not path.is_symlink():
            found += [path, *contents(path.relative_to(ROOT).as_posix())]
        elif path.suffix in LANGUAGES:
            found.append(path)
    return found


def source_page(path: str) -> str:
    """The page of a source file, or of a folder: a list of what is in it."""
    file, here = ROOT / path, place(path)
    if file.is_dir():
        names = sorted(p for p in contents(path) if p.parent == file)
        items = [
            f"- [{p.name}{'/' * p.is_dir()}]({relative(here, place(_name(p)))})" for p in names
        ]
        return f"# {path}/\n\n" + "\n".join(items) + "\n"
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return f"# {path}\n\n{fenced(text, language(path))}\n"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def language(path: str) -> str:
    """The language of a file for the highlighter."""
    return LANGUAGES.get(PurePosixPath(path).suffix, "text")


def fenced(code: str, kind: str, indent: int = 0) -> str:
    """A block of code with a fence that the code does not contain, and line numbers of its own."""
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", code, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    lines = [f"{fence}{kind}", *code.split("\n"), fence]
    return "\n".join(" " * indent * bool(line) + line for line in lines)
