"""Guards of the structure: what `make lint` checks beside style and types.

    python tools/guards.py

Reads every source file of the three storeys, prints one line per measure, and fails if a measure is
beyond its limit. A limit is only ever tightened.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STOREYS = {"kernels": "minicnn.kernels", "minicnn": "minicnn", "models": "minicnn.models"}
FOREIGN = ("tests", "benchmarks", "torch")  # what the installed package must not import

# `import minicnn` and `python -m minicnn` offer all three storeys.
ENTRANCES = ("minicnn", "minicnn.__init__", "minicnn.__main__")
# Here every parameter is one choice of the user.
INTERFACES = ("minicnn.training.fitting.fit", "minicnn.cli.train.train")
AT_MOST = {
    "import circles": 0,
    "imports of an upper storey": 0,
    "imports of tests, benchmarks, torch": 0,
    "widest signature": 12,  # target 10, apart from operations and INTERFACES
    "longest function": 57,  # lines without the docstring
    "longest file": 440,  # target 300
}
AT_LEAST = {  # percent of the arguments and results of public functions that have a type
    "annotated in kernels": 99,  # target 100
    "annotated in minicnn": 99,  # target 100
    "annotated in models": 99,  # target 100
}


@dataclass
class Module:
    """One source file: its dotted name, syntax tree, length, and the modules that it imports."""

    name: str
    path: Path
    tree: ast.Module
    lines: int
    imports: list[tuple[str, int]] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()


def read_modules() -> dict[str, Module]:
    """Every module of the package by its dotted name. Links in the tree are not followed."""
    found = {}
    for folder, package in STOREYS.items():
        for path in _python_files(ROOT / folder):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *(p for p in parts if p != "__init__")])
            text = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, ast.parse(text), text.count("\n"))
    for module in found.values():
        module.imports = sorted(set(_imports(module, found)))
    return found


def _python_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _python_files(path)
        elif path.suffix == ".py":
            yield path


def _imports(module: Module, known: dict[str, Module]) -> Iterator[tuple[str, int]]:
    """The imports of a module, also those within functions, each as the deepest known module."""
    is_package = module.path.name == "__init__.py"
    for node in _runtime_nodes(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module.name, is_package, node)
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                yield deeper if deeper in known else base, node.lineno
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), node.lineno


def _absolute(name: str, is_package: bool, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _runtime_nodes(node)


def circles(modules: dict[str, Module]) -> list[str]:
    """Groups of modules that import each other (strongly connected components, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[str] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target, _ in modules[name].imports:
            if target in modules and target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            start = stack.index(name)
            group, stack[start:] = sorted(stack[start:]), []
            if len(group) > 1:
                found.append(" <-> ".join(group))

    for name in modules:
        if name not in index:
            visit(name)
    return found


def storey(name: str) -> int | None:
    """0 for kernels, 1 for the engine, 2 for models, 3 for the command line; None for others."""
    for level, prefix in enumerate(("minicnn.kernels", None, "minicnn.models", "minicnn.cli")):
        if prefix and (name == prefix or name.startswith(prefix + ".")):
            return level
    return 1 if name == "minicnn" or name.startswith("minicnn.") else None


def upward_imports(modules: dict[str, Module]) -> list[str]:
    """Imports of a storey above the importing one, except in the entrances."""
    return [
        f"{module.where}:{line} imports {target}"
        for module in modules.values()
        for target, line in module.imports
        if module.name not in ENTRANCES and (storey(target) or 0) > (storey(module.name) or 0)
    ]


def foreign_imports(modules: dict[str, Module]) -> list[str]:
    """Imports of what only tests and benchmarks may use."""
    return [
        f"{module.where}:{line} imports {target}"
        for module in modules.values()
        for target, line in module.imports
        if target.partition(".")[0] in FOREIGN
    ]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(modules: dict[str, Module]) -> Iterator[tuple[Module, Function]]:
    """Every function and method, nested ones included."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                yield module, node


def parameters(function: Function) -> list[ast.arg]:
    """The parameters of a function, without self and cls."""
    a = function.args
    optional = [arg for arg in (a.vararg, a.kwarg) if arg]
    found = [*a.posonlyargs, *a.args, *a.kwonlyargs, *optional]
    return [p for p in found if p.arg not in ("self", "cls")]


def code_lines(function: Function) -> int:
    """The number of lines of a function, without those of its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)


def public_functions(body: list[ast.stmt]) -> Iterator[Function]:
    """Functions and methods without an underscore in front of their or their class's name."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, Function) and (
            node.name == "__init__" or not node.name.startswith("_")
        ):
            yield node


def annotated_share(modules: dict[str, Module], package: str) -> float:
    """Percent of public arguments and results in a storey that have a type."""
    slots: list[bool] = []
    level = storey(package)
    for module in modules.values():
        if storey(module.name) == level or (level == 1 and storey(module.name) == 3):
            for function in public_functions(module.tree.body):
                slots += [p.annotation is not None for p in parameters(function)]
                slots += [function.returns is not None] if function.name != "__init__" else []
    return 100 * sum(slots) / max(len(slots), 1)


def main() -> int:
    """Print the table; 1 if a measure is beyond its limit."""
    modules = read_modules()
    lists = {
        "import circles": circles(modules),
        "imports of an upper storey": upward_imports(modules),
        "imports of tests, benchmarks, torch": foreign_imports(modules),
    }
    measures: dict[str, tuple[float, str]] = {n: (len(x), "") for n, x in lists.items()}
    plain = [f for f in functions(modules) if f"{f[0].name}.{f[1].name}" not in INTERFACES]
    wide = max(plain, key=lambda f: len(parameters(f[1])))
    long = max(functions(modules), key=lambda f: code_lines(f[1]))
    big = max(modules.values(), key=lambda m: m.lines)

    def place(found: tuple[Module, Function]) -> str:
        return f"{found[0].where}:{found[1].lineno} {found[1].name}"

    measures["widest signature"] = len(parameters(wide[1])), place(wide)
    measures["longest function"] = code_lines(long[1]), place(long)
    measures["longest file"] = big.lines, big.where
    for folder, package in STOREYS.items():
        measures[f"annotated in {folder}"] = annotated_share(modules, package), "percent"
    failures = 0
    print(f"{'measure':36} {'found':>6} {'limit':>6}  where")
    for name, (value, where) in measures.items():
        limit = AT_MOST.get(name, AT_LEAST.get(name, 0))
        is_wrong = value > limit if name in AT_MOST else value < limit
        failures += is_wrong
        print(f"{name:36} {value:6.0f} {limit:6}  {where}{'  BEYOND THE LIMIT' * is_wrong}")
        for line in lists.get(name, []):
            print(f"    {line}")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
