"""A page per operation: its description, and its function in each backend, found in the sources."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .links import ROOT, contents, fenced, place, relative

BACKENDS = ("reference", "cpu", "cuda", "numba_cuda")
KERNELS = ROOT / "kernels"
# The modules with the functions that users call. Each is a section; functional.py has several.
OFFERED = (
    *("functional", "convolution", "pooling", "resampling", "normalization", "activations"),
    "losses",
)
# Derivations and other pages that explain an operation, by the beginning of its name.
EXPLAINED = {
    "conv2d": "derivations/convolution.md",
    "max_pool2d": "derivations/pooling.md",
    "avg_pool2d": "derivations/pooling.md",
    "local_response_norm": "derivations/local_response_norm.md",
    "batch_norm": "derivations/batch_norm.md",
    "softmax": "derivations/softmax_cross_entropy.md",
    "add": "derivations/residual_and_concat.md",
    "subsample2d": "derivations/lenet_1998.md",
    "rbf": "derivations/lenet_1998.md",
}


@dataclass(frozen=True)
class Source:
    """A function in a file: the file's path in the repository, the first line, and the text."""

    path: str
    line: int
    text: str


def operations() -> dict[str, str]:
    """Every operation of the reference with the heading of its section."""
    return {name: heading for name, (_, heading) in _places().items()}


@cache
def _places() -> dict[str, tuple[str, str]]:
    """Every operation with the module in which users find it, and the heading of its section.

    A heading is the comment `# -- heading --` above the function, or the name of the module.
    """
    offered = _tree(KERNELS / "reference/__init__.py").body
    names = {a.name for n in offered if isinstance(n, ast.ImportFrom) for a in n.names}
    found = {}
    for module in OFFERED:
        heading = module
        for line in (KERNELS / f"{module}.py").read_text(encoding="utf-8").splitlines():
            if line.startswith("# -- "):
                text = line.removeprefix("# -- ").rstrip("- ")
                heading = text.partition(":")[0].partition(",")[0]
            name = line.removeprefix("def ").partition("(")[0]
            if line.startswith("def ") and name in names:
                found[name] = module, heading
    return found


def find(backend: str, name: str) -> Source | None:
    """The function `name` of that backend, or None if the backend lacks it."""
    return _find(KERNELS / backend / "__init__.py", name)


def _find(file: Path, name: str) -> Source | None:
    """The statement that defines `name` in a module, or where the module imports it from."""
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _source(file, node)
        if isinstance(node, ast.Assign) and name in _targets(node):
            return _source(file, node)
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(_module(file.parent, node.module), alias.name)
    return None


def _module(folder: Path, dotted: str) -> Path:
    path = folder.joinpath(*dotted.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _targets(node: ast.Assign) -> list[str]:
    names = [n for target in node.targets for n in ast.walk(target)]
    return [n.id for n in names if isinstance(n, ast.Name)]


def _source(file: Path, node: ast.FunctionDef | ast.Assign) -> Source:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    lines = file.read_text(encoding="utf-8").splitlines()[first - 1 : node.end_lineno]
    return Source(file.relative_to(ROOT).as_posix(), first, "\n".join(lines))


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def page(name: str) -> str:
    """The page of an operation, in Markdown."""
    here = page_place(name)
    found = {backend: find(backend, name) for backend in BACKENDS}
    module, _ = _places()[name]
    text = [f"# {name}", "", f"::: minicnn.kernels.{module}.{name}", "    options:"]
    text += ["      show_root_full_path: false", ""]
    explained = next((p for key, p in EXPLAINED.items() if name.startswith(key)), None)
    if explained:
        text += [f"Where the gradient comes from: [derivation]({relative(here, explained)}).", ""]
    text += ["## In each backend", ""]
    for backend, source in found.items():
        if source:
            text += [f'=== "{backend}"', "", *_tab(source, here), ""]
    missing = [backend for backend, source in found.items() if not source]
    if missing:
        names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
        text += [f"Not in {names}: there the reference computes it.", ""]
    return "\n".join(text)


def _tab(source: Source, here: str) -> list[str]:
    """Links to the whole file, its kernels and the modules that it calls, and the function."""
    links = [_link(source.path, here, f"{source.path}, line {source.line}")]
    links += [_link(path, here, path) for path in _kernels(source.path)]
    text = f"    {', '.join(links)}"
    called = [path for module in _called(source.path) for path in (module, *_kernels(module))]
    if called:
        text += f"; it calls {', '.join(_link(path, here, path) for path in called)}"
    return [text, "", fenced(source.text, "python", indent=4)]


def _kernels(path: str) -> list[str]:
    """The CUDA C beside a file, if there is any."""
    found = path.removesuffix(".py") + ".cu"
    return [found] if (ROOT / found).exists() else []


def _called(path: str) -> list[str]:
    """The modules that a file imports whole from its own folder, such as those of algorithms."""
    file = ROOT / path
    nodes = [n for n in _tree(file).body if isinstance(n, ast.ImportFrom)]
    names = [a.name for n in nodes if n.level == 1 and not n.module for a in n.names]
    modules = [_module(file.parent, name) for name in names]
    found = [m.parent if m.name == "__init__.py" else m for m in modules]
    return [m.relative_to(ROOT).as_posix() for m in found]


def _link(path: str, here: str, text: str) -> str:
    return f"[{text}]({relative(here, place(path))})"


def page_place(name: str) -> str:
    """Where the page of an operation is in the site."""
    return f"operations/{name}.md"


def index() -> str:
    """The list of all operations by section, and which backend has them."""
    text = ["# Operations", ""]
    text += [
        "An operation is a function of arrays. The reference defines it in plain NumPy, and the "
        "backends compute the same faster. Each page has the function of that name in every "
        "backend, side by side.",
        "",
        f"| section | operation | {' | '.join(BACKENDS)} |",
        f"|---|---|{'---|' * len(BACKENDS)}",
    ]
    for name, section in operations().items():
        marks = ["yes" if find(backend, name) else "" for backend in BACKENDS]
        text.append(f"| {section} | [{name}]({name}.md) | {' | '.join(marks)} |")
    return "\n".join(text) + "\n"


def sources() -> list[str]:
    """The files that the pages link."""
    found = set()
    for name in operations():
        for backend in BACKENDS:
            source = find(backend, name)
            if source:
                files = [source.path, *_called(source.path)]
                found |= {path for file in files for path in (file, *_kernels(file))}
    folders = [ROOT / path for path in found if (ROOT / path).is_dir()]
    found |= {p.relative_to(ROOT).as_posix() for folder in folders for p in contents(folder)}
    return sorted(found)
