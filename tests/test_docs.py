"""The documents: every Python block and example runs, every command and link exists."""

import json
import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from minicnn import data, models, weights
from minicnn.cli import app
from minicnn.kernels import dispatch

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^(<!-- continues -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"--?[a-z][\w-]*")


def blocks(language):
    """`(page, line, code)` of every block in that language; a continued one has those before it."""
    for page in PAGES:
        text, before = page.read_text(encoding="utf-8"), ""
        for block in BLOCK.finditer(text):
            continues, found, code = block.groups()
            if found == language:
                before = before + code if continues else code
                line = text.count("\n", 0, block.start(3))
                yield pytest.param(
                    page, line, before, id=f"{page.relative_to(ROOT).as_posix()}:{line}"
                )


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    """An empty folder, and a MNIST that is small and needs no network."""
    train, test = data.digits()
    monkeypatch.setattr(data, "mnist", lambda: (train[:128], test[:64]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*starts from new weights")
@pytest.mark.parametrize(("page", "line", "code"), list(blocks("python")))
def test_python_blocks_run(small_world, capsys, page, line, code):
    compiled = compile("\n" * line + code, str(page), "exec")
    if '"cuda"' in code and isinstance(dispatch.load("cuda"), str):
        pytest.skip("there is no GPU")
    for name, file in re.findall(r'create\("(\w+)", weights="([^"/]+\.pth)"', code):
        torch = pytest.importorskip("torch")
        state = weights.to_torch(models.create(name, seed=0))
        torch.save({key: torch.from_numpy(array) for key, array in state.items()}, file)
    exec(compiled, {"__name__": "document"})


def commands():
    """Every command line in a shell block, and every one in backticks that looks like one."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = set()
        for _, language, code in BLOCK.findall(text):
            if language == "sh":
                found |= {line.partition("  #")[0].strip() for line in code.splitlines()}
        inline = re.findall(r"`((?:minicnn|python|make) [^`]+)`", BLOCK.sub("", text))
        for line in sorted(found | {line.replace(" ...", "") for line in inline}):
            yield pytest.param(line, id=f"{page.name}: {line}")


@pytest.mark.parametrize("line", list(commands()))
def test_commands_exist(line):
    words = shlex.split(line)
    program, *arguments = words[re.match(r"MINICNN_[A-Z]+=", words[0]) is not None :]
    if program in ("mpirun", "srun"):  # what it starts stands behind its own options
        start = next(i for i, word in enumerate(arguments) if word in ("minicnn", "python"))
        program, *arguments = arguments[start:]
    program = program.removeprefix(".venv/bin/")
    check = {"minicnn": check_minicnn, "make": check_make, "python": check_python, "pip": check_pip}
    if program in check:
        check[program](arguments)
    else:
        assert program in ("pytest", "pre-commit", "git", "source"), (
            f"{program} is not checked here"
        )


def check_minicnn(arguments):
    name, command, rest = "", typer.main.get_command(app), arguments
    while hasattr(command, "commands") and rest and not OPTION.match(rest[0]):
        name, *rest = rest
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    known |= {"-h", "--help"}
    used = {a.partition("=")[0] for a in rest if OPTION.match(a)}
    assert used <= known, f"minicnn {name} has no {used - known}"


def check_make(arguments):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for argument in arguments:
        assert "=" in argument or argument in targets, f"there is no target {argument}"


def check_python(arguments):
    if arguments[0] == "-m":
        assert find_spec(arguments[1]), f"there is no module {arguments[1]}"
        return
    script = ROOT / arguments[0]
    source = script.read_text(encoding="utf-8")
    if "common.parser" in source:
        source += (ROOT / "benchmarks" / "common.py").read_text(encoding="utf-8")
    for option in filter(OPTION.match, arguments[1:]):
        assert f'"{option}"' in source, f"{script.name} has no option {option}"


def check_pip(arguments):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for extra in re.findall(r"\[(\w+)\]", " ".join(arguments)):
        assert extra in extras, f"there is no extra {extra}"


def test_links_lead_somewhere():
    broken = []
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        text = BLOCK.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not target.startswith(("http://", "https://")):
                broken += [f"{page.name}: {target}"] * (not (page.parent / target).exists())
    assert not broken


def test_a_benchmark_replaces_committed_results_only_on_request(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import common

    monkeypatch.setattr(common, "HERE", tmp_path)
    for arguments, folder in (([], "out"), (["--publish"], "results")):
        options = common.parser("A benchmark.").parse_args(arguments)
        written = common.report("trial", "| a table |", options, {"rows": [1]})
        assert written == tmp_path / folder / "trial.md"
        assert sorted(p.name for p in written.parent.iterdir()) == ["trial.json", "trial.md"]
        assert (
            sorted(p.name for p in tmp_path.iterdir()) == ["out", "results"][: 1 + bool(arguments)]
        )
    assert "benchmarks/out/" in (ROOT / ".gitignore").read_text().split()


def test_the_readme_counts_the_twins():
    twins = json.loads((ROOT / "docs" / "twins.json").read_text(encoding="utf-8"))["networks"]
    numbers = [twin["float64"][key] for twin in twins.values() for key in ("forward", "gradient")]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"all {len(twins)} within 2e-10 in float64" in text
    assert max(numbers) <= 2e-10


def test_the_readme_links_every_page_once():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md")]
    for page in [*pages, "docs/derivations/README.md"]:
        assert text.count(f"]({page})") == 1, page
