"""The CPU kernels for ARM, on a machine that is none: their code, and runs in an emulator.

    python -m tools.arm code               the innermost loops of the products, compiled for a core
    python -m tools.arm root FOLDER        an ARM system with Python in that folder (on Debian)
    python -m tools.arm compile FOLDER     all kernels, or those named, into its cache
    python -m tools.arm run FOLDER -m pytest tests/kernels/cpu/test_pool.py

The emulator is QEMU's. It compiles ten times slower than this machine, which compiles the same
code: `compile` saves it the work. Nothing is installed outside of the folder.
"""

import argparse
import gc
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRIPLE, CORE, FEATURES = "aarch64-unknown-linux-gnu", "neoverse-n1", "+neon"
PRODUCTS = {  # kernels with the register tile: their modules in kernels.cpu
    "patch_products": "direct.forward",
    "weight_products": "direct.grad_weight",
    "row_products": "matrix",
}
PYTHON = "3.11"  # of Debian 12
PACKAGES = ["python3.11", "libgomp1", "libstdc++6"]
SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} bookworm main\n"
MIRROR = "http://deb.debian.org/debian"
EMULATOR = "qemu/usr/bin/qemu-aarch64-static"
FOR_TESTS = ["pytest>=8,<10", "hypothesis>=6.100,<7"]


# -- code -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loop:
    """An innermost loop: its instructions, products of vectors, and accesses to the stack."""

    instructions: int
    products: int
    spills: int


def compile_for(core: str) -> None:
    """Let Numba compile for that ARM core from here on. What it compiles cannot be run here.

    Raises RuntimeError if Numba is imported already, or if LLVM cannot.
    """
    if "numba" in sys.modules:
        raise RuntimeError("Numba has chosen its processor: call compile_for before importing it")
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    binding.Target.from_triple(TRIPLE)
    os.environ |= {"NUMBA_CPU_NAME": core, "NUMBA_CPU_FEATURES": FEATURES}
    for name, value in (("get_process_triple", TRIPLE), ("get_host_cpu_features", {})):
        setattr(binding, name, lambda value=value: value)


def innermost_loops(assembly: str) -> Iterator[Loop]:
    """The loops of an ARM assembly without loops inside: from a label to a jump back to it."""
    lines = [line.strip() for line in assembly.splitlines()]
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    found = []
    for i, line in enumerate(lines):
        target = re.fullmatch(r"(?:b|b\.\w+|cbn?z\s.*,|tbn?z\s.*,)\s+(\.\w+)", line)
        if target and labels.get(target[1], i) < i:
            found.append((labels[target[1]], i))
    for first, last in found:
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in found):
            body = [line for line in lines[first : last + 1] if not line.startswith((".", "//"))]
            spills = sum("[sp" in line for line in body)
            yield Loop(len(body), sum(line.startswith("fmla") for line in body), spills)


def densest_loop(kernel: Any) -> Loop:
    """The innermost loop of a kernel with the largest share of products."""
    kernel._compile()
    loops = innermost_loops(kernel._compiled._library.get_asm_str())
    return max(loops, key=lambda loop: loop.products / loop.instructions)


def code(core: str, names: list[str]) -> None:
    """Print the densest loop of each kernel."""
    with tempfile.TemporaryDirectory() as cache:  # a kernel from a cache has no assembly
        os.environ["NUMBA_CACHE_DIR"] = cache
        compile_for(core)
        print("kernel instructions products spills")
        for name in names:
            module = importlib.import_module(f"minicnn.kernels.cpu.{PRODUCTS[name]}")
            loop = densest_loop(getattr(module, name))
            print(name, loop.instructions, loop.products, loop.spills, flush=True)


def compile_kernels(folder: Path, names: list[str]) -> None:
    """Compile the kernels of those names, or all, into the cache of the system in that folder."""
    os.environ["NUMBA_CACHE_DIR"] = str(folder / "cache")
    compile_for(CORE)
    from minicnn.kernels import cpu
    from minicnn.kernels.cpu.engine.launch import kernel

    for module in pkgutil.walk_packages(cpu.__path__, "minicnn.kernels.cpu."):
        importlib.import_module(module.name)
    for found in [k for k in gc.get_objects() if isinstance(k, kernel)]:
        module_name = found.py_func.__module__.removeprefix("minicnn.kernels.cpu.")
        # The assembly of matrix units is x86's, and would end the process here.
        if module_name.startswith("matrix_units") or (names and found.__name__ not in names):
            continue
        try:
            found._compile()
        except RuntimeError as error:
            if "llvm.x86." not in str(error):
                raise
            continue  # products of bfloat16 numbers
        print(module_name, found.__name__, flush=True)


# -- the emulator ---------------------------------------------------------------------------------


def make_root(folder: Path) -> None:
    """Download and unpack Debian's Python for ARM, wheels of minicnn's dependencies, and QEMU."""
    for name in ("apt/lists/partial", "apt/cache/archives/partial", "root", "qemu"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "apt/sources").write_text(SOURCE.format(MIRROR), encoding="utf-8")
    (folder / "apt/status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "Dir::State": f"{folder}/apt",
        "Dir::State::status": f"{folder}/apt/status",
        "Dir::Cache": f"{folder}/apt/cache",
        "Dir::Etc::sourcelist": f"{folder}/apt/sources",
        "Dir::Etc::sourceparts": "-",
    }
    options = [f"-o={key}={value}" for key, value in settings.items()]
    _run("apt-get", "-qq", *options, "update")
    _run("apt-get", "-qq", *options, "install", "--download-only", *PACKAGES)
    _run("apt-get", "-qq", "download", "qemu-user-static", folder=folder / "qemu")
    for place, target in (("apt/cache/archives", "root"), ("qemu", "qemu")):
        for package in (folder / place).glob("*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(folder / target))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)]
    target = ["--target", str(folder / "site"), "--python-version", PYTHON]
    wheels = ["--only-binary=:all:", "--upgrade", *platforms, "--platform=manylinux2014_aarch64"]
    needed = [*project["dependencies"], *FOR_TESTS]
    _run(sys.executable, "-m", "pip", "install", "--quiet", *target, *wheels, *needed)


def _run(*command: str, folder: Path | None = None) -> None:
    """Run it. Ends the program with a sentence if it fails."""
    try:
        status = subprocess.run(command, check=False, cwd=folder).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing: `root` needs Debian or Ubuntu") from None
    if status:
        raise SystemExit(f"{shlex.join(command)}: exit status {status}")


def emulate(folder: Path, arguments: list[str]) -> int:
    """Run that system's Python in the emulator. Returns its exit status."""
    python = f"usr/bin/python{PYTHON}"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "NUMBA_CPU_NAME": CORE,
        "NUMBA_CPU_FEATURES": FEATURES,
    }
    command = [folder / EMULATOR, "-cpu", CORE, "-L", folder / "root", folder / "root" / python]
    return subprocess.run([*command, *arguments], env=environment, check=False).returncode


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.arm", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("code", help="print the innermost loops of the products")
    shown.add_argument("--core", default=CORE, help=f"LLVM's name of a core; {CORE}")
    shown.add_argument("kernels", nargs="*", help=f"of {', '.join(PRODUCTS)}; all")
    helps = {
        "root": "make an ARM system with Python in a folder",
        "compile": "compile kernels into its cache",
        "run": "run its Python in the emulator",
    }
    for name, text in helps.items():
        added = commands.add_parser(name, help=text)
        added.add_argument("folder", type=Path)
        if name == "compile":
            added.add_argument("kernels", nargs="*", help="names such as _rectify; all")
    options, rest = parser.parse_known_args()
    if rest and options.command != "run":
        parser.error(f"unknown argument: {rest[0]}")
    if options.command == "code":
        for name in options.kernels:
            if name not in PRODUCTS:
                parser.error(f"unknown kernel {name!r}; expected one of {', '.join(PRODUCTS)}")
        code(options.core, options.kernels or list(PRODUCTS))
        return 0
    folder = options.folder.resolve()
    if options.command == "root":
        make_root(folder)
        return 0
    if not (folder / EMULATOR).exists():
        raise SystemExit(f"{folder}: no emulator is there; run `python -m tools.arm root` first")
    if options.command == "run":
        return emulate(folder, rest)
    compile_kernels(folder, options.kernels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
