"""Every kernel compiles for Ampere and Hopper, spills no registers, and uses no more than recorded.

If a change needs more: `python -m tests.cuda.test_compile` writes registers.json again.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minicnn.kernels.cuda import plan, runtime
from minicnn.kernels.cuda.precision import PRECISIONS
from minicnn.kernels.ladder import gpu

ARCHITECTURES = ("sm_80", "sm_90a")
RECORD = Path(__file__).with_name("registers.json")
NVCC = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def sources(pattern: str) -> list[Path]:
    """Files of CUDA C: the operations' and the ladder's."""
    folders = runtime.SOURCES, Path(gpu.__file__).parent
    return [file for folder in folders for file in sorted(folder.glob(pattern))]


SOURCES = {file.name: file for file in sources("*.cu")}
RUNGS = tuple(sorted(file for file in SOURCES if re.match(r"(conv|norm)\d", file)))
WITHOUT_OPTIONS = ("data.cu", "lenet.cu", "optim.cu", "peak.cu", *RUNGS)
OPTIONS: dict[str, list[dict]] = {
    file.name: [{"REAL": "float", "V": 1}, {"REAL": "float", "V": 4}, {"REAL": "bf16", "V": 8}]
    for file in SOURCES.values()
    if file.name not in ("conv.cu", "conv_hopper.cu", *WITHOUT_OPTIONS)
}
OPTIONS |= {file: [{}] for file in WITHOUT_OPTIONS}
PRODUCTS = (*PRECISIONS.values(), "BF16")


def product(
    precision: str, tile: plan.Tile, a: bool = True, b: bool = True, stages: int = plan.STAGES
) -> dict:
    """The options of a convolution; `a`, `b`: 16 bytes or one number per copy of A, of B."""
    half, wide = precision == "BF16", 16 // plan.number_size(precision)
    widths = {"VEC_A": wide if a else 1, "VEC_B": wide if b else 1, "VEC_C": 2 if a or b else 1}
    options = {
        "PRECISION": precision,
        "REAL": "bf16" if half else "float",
        "STAGES": stages,
        "BK": plan.inner(precision),
    }
    return options | widths | tile.defines()


OPTIONS["conv.cu"] = [
    product(p, tile, wide, wide)
    for p in PRODUCTS
    for tile in plan.tiles(p)
    for wide in (False, True)
]
OPTIONS["conv.cu"] += [
    product(p, tile, a, not a)
    for p in PRODUCTS
    for tile in plan.tiles(p)[1:]
    for a in (False, True)
]
OPTIONS["conv.cu"] += [product(p, plan.tiles(p)[0], stages=plan.STAGES - 1) for p in PRODUCTS]
OPTIONS["conv_hopper.cu"] = [
    {"BN": t.n, "STAGES": t.stages, "TOGETHER": t.together, "REAL": "bf16", "VEC_C": pair}
    for t in plan.HOPPER_TILES
    for pair in (1, 2)
]
CASES = [
    (file, tuple(sorted(options.items())))
    for file, variants in OPTIONS.items()
    for options in variants
]


def name_of(file: str, options) -> str:
    return " ".join([file, *(f"{key}={value}" for key, value in options)])


def architectures_of(file: str, options) -> tuple[str, ...]:
    """All of them; Hopper for its own instructions, and for rare variants, which compile slowly."""
    chosen = dict(options)
    if file in ("conv11_wgmma.cu", "conv_hopper.cu"):
        return ARCHITECTURES[-1:]
    return (
        ARCHITECTURES
        if chosen.get("VEC_A", 4) > 1 and chosen.get("BN", 128) == 128
        else ARCHITECTURES[-1:]
    )


def compile_for(file: str, defines) -> dict[str, dict[str, int]]:
    """Architecture -> kernel -> registers. Raises AssertionError for errors and for spills."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / file
        program.write_text(runtime.source(SOURCES[file]))
        options = ["-std=c++17", "-ftz=true", "-cubin", "-Xptxas", "-v", "-o", f"{program}.cubin"]
        options += [f"-D{key}={value}" for key, value in defines]
        for architecture in architectures_of(file, defines):
            run = subprocess.run(
                [NVCC, *options, f"-arch={architecture}", str(program)],
                stderr=subprocess.PIPE,
                text=True,
            )
            log = run.stderr
            assert run.returncode == 0, log
            assert "warning" not in log and "serialized" not in log, log
            entries = re.findall(
                r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, "
                r"(\d+) bytes spill loads.*?Used (\d+) reg",
                log,
                re.S,
            )
            assert entries, log
            for kernel, stores, loads, _ in entries:
                assert stores == loads == "0", (
                    f"{kernel} for {architecture} spills: {stores} bytes stored, {loads} loaded"
                )
            found[architecture] = {kernel: int(registers) for kernel, *_, registers in entries}
    return found


@pytest.fixture(scope="module")
def compiled():
    """Every case's outcome, compiled on all cores at once."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {case: pool.submit(compile_for, *case) for case in CASES}


@pytest.mark.skipif(
    NVCC is None,
    reason="no nvcc on this machine",
)
@pytest.mark.parametrize(("file", "options"), CASES, ids=[name_of(*case) for case in CASES])
def test_compiles(file, options, compiled):
    bounds = json.loads(RECORD.read_text())[name_of(file, options)]
    for architecture, kernels in compiled[file, options].result().items():
        assert kernels.keys() == bounds.keys()
        for kernel, registers in kernels.items():
            assert registers <= bounds[kernel], f"{kernel} for {architecture}"


def test_the_record_is_of_these_kernels():
    """Also without a compiler: no kernel is missing, and none is there that is no more."""
    record = json.loads(RECORD.read_text())
    assert record.keys() == {name_of(*case) for case in CASES}
    for file, options in CASES:
        names = set(
            re.findall(
                r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(',
                runtime.source(SOURCES[file]),
            )
        )
        assert record[name_of(file, options)].keys() == names


def main():
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = dict(zip(CASES, pool.map(lambda case: compile_for(*case), CASES), strict=True))
    record = {}
    for case, found in compiled.items():
        record[name_of(*case)] = {
            kernel: max(of[kernel] for of in found.values())
            for kernel in sorted(found[ARCHITECTURES[-1]])
        }
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
