"""How many PTX instructions the products' main loops need beside each multiplication.

A quarter of a multiprocessor issues one instruction per cycle, and a tensor core takes at least
four cycles for a multiplication: with more instructions beside it, the tensor core waits.
"""

import re
import shutil
import subprocess
from collections import Counter

import pytest

from minicnn.kernels.cuda import plan, runtime

from .test_compile import product

NVCC = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
MULTIPLIES = {"BF16": "mma.sync", "TF32": "mma.sync", "TF32X3": "mma.sync", "FFMA": "fma.rn"}
FREE = ("mov.", "ld.param")  # mostly gone in machine code
BOUNDS = {  # precision: of forward, grad_input and grad_weight, for the largest tile
    "BF16": (2.25, 2.25, 2.35),
    "TF32": (3.5, 3.2, 3.9),
    "TF32X3": (2.6, 2.4, 2.75),
    "FFMA": (0.95, 0.95, 1.05),
}


def ptx(file: str, options: dict) -> str:
    """A source compiled for Hopper by nvcc or NVRTC; skips the test if there is neither."""
    flags = ["-std=c++17", "-ftz=true", *(f"-D{key}={value}" for key, value in options.items())]
    if NVCC:
        command = [NVCC, "-x", "cu", "-ptx", "-arch=sm_90", *flags, "-o", "-", "-"]
        return subprocess.run(
            command, input=runtime.source(file), capture_output=True, text=True, check=True
        ).stdout
    nvrtc = pytest.importorskip(
        "cuda.bindings.nvrtc", reason="neither nvcc nor NVRTC (cuda-bindings) is on this machine"
    )
    try:
        _, program = nvrtc.nvrtcCreateProgram(
            runtime.source(file).encode(), file.encode(), 0, [], []
        )
    except RuntimeError as error:
        pytest.skip(f"cuda-bindings finds no NVRTC: {error}")
    arguments = [flag.encode() for flag in ("-arch=compute_90", *flags)]
    assert nvrtc.nvrtcCompileProgram(program, len(arguments), arguments)[0] == 0
    text = b" " * nvrtc.nvrtcGetPTXSize(program)[1]
    nvrtc.nvrtcGetPTX(program, text)
    return text.decode()


def main_loops(text: str, multiplies: str) -> dict[str, Counter]:
    """Kernel -> the instructions of the loop that multiplies most.

    Those of a loop inside of it that sums dy for the bias are left out: it runs in one of many
    steps.
    """
    found = {}
    for kernel, body in re.findall(r"\.entry (\w+)\(.*?\n\{(.*?)\n\}", text, re.DOTALL):
        lines = [line.strip() for line in body.splitlines()]
        labels = {line.partition(":")[0]: i for i, line in enumerate(lines) if line.startswith("$")}
        loops = [
            lines[labels[branch[1]] : i]
            for i, line in enumerate(lines)
            if (branch := re.search(r"\bbra\S*\s+(\$\w+);", line)) and labels[branch[1]] < i
        ]
        counts = [instructions(loop) for loop in loops]
        products = [count for count in counts if has(count, multiplies)]
        if products:
            most = max(products, key=Counter.total)
            main = set(loops[counts.index(most)])
            sums = [
                count
                for loop, count in zip(loops, counts, strict=True)
                if loop[0] in main and not has(count, multiplies, "cp.async", "st.")
            ]
            found[kernel] = most - sum(sums, Counter())
    return found


def instructions(loop: list[str]) -> Counter:
    """The instructions of these lines, without their predicates and operands."""
    lines = (line for line in loop if re.match(r"[@a-z]", line))
    return Counter(re.sub(r"@!?%p\d+\s+", "", line).split()[0] for line in lines)


def has(count: Counter, *names: str) -> bool:
    """True if an instruction begins with one of the names."""
    return any(name.startswith(names) for name in count)


def beside(count: Counter, multiplies: str) -> float:
    """Instructions beside each multiplication."""
    products = sum(times for name, times in count.items() if name.startswith(multiplies))
    return (
        sum(times for name, times in count.items() if not name.startswith((multiplies, *FREE)))
        / products
    )


@pytest.mark.parametrize("precision", BOUNDS)
def test_main_loops_stay_short(precision):
    """Of the passes with copies of 16 bytes."""
    tile, multiplies = plan.tiles(precision)[0], MULTIPLIES[precision]
    loops = main_loops(ptx("conv.cu", product(precision, tile)), multiplies)
    assert loops.keys() == {"forward", "grad_input", "grad_weight"}
    for (kernel, count), bound in zip(sorted(loops.items()), BOUNDS[precision], strict=True):
        assert beside(count, multiplies) < bound, kernel


def test_what_is_counted():
    """Branches back make a loop; lines before it, movs and labels do not count."""
    text = """.visible .entry f(\n)\n{
    add.s32 %r1, %r1, 1;
$L1:
    @%p1 ld.shared.f32 %f1, [%r1];
    mov.b32 %r2, %f1;
    mma.sync.aligned.m16n8k8 {%f1};
    add.s32 %r1, %r1, 1;
    @%p2 bra $L1;
    st.global.f32 [%rd1], %f1;
\n}\n"""
    loops = main_loops(text, "mma.sync")
    assert loops == {
        "f": Counter(
            {"ld.shared.f32": 1, "mov.b32": 1, "mma.sync.aligned.m16n8k8": 1, "add.s32": 1}
        )
    }
    assert beside(loops["f"], "mma.sync") == 2


@pytest.mark.parametrize("real", ["float", "bf16"])
def test_memory_is_moved_16_bytes_at_a_time(real):
    """Memory-bound kernels load and store 16 bytes, of parameters and statistics too.

    Arrays with one byte per number move as many numbers per access.
    """
    wide = {
        "norm.cu": {"lrn", "lrn_grad", "normalize", "normalize_grad"},
        "activation.cu": {"apply", "apply_grad", "add", "convert"},
    }
    wide["pool.cu"] = {
        "max_pool",
        "max_pool_grad",
        "avg_pool",
        "avg_pool_grad",
        "global_avg",
        "global_avg_grad",
    }
    for file, kernels in wide.items():
        text = ptx(file, {"REAL": real, "V": 8 if real == "bf16" else 4})
        bodies = dict(re.findall(r"\.entry (\w+)\(.*?\n\{(.*?)\n\}", text, re.DOTALL))
        for kernel in kernels:
            moves = set(re.findall(r"(?:ld|st)\.global(?:\.nc)?\.(\S+)", bodies[kernel]))
            assert moves & {"v4.u32", "v4.f32"}, kernel
            assert moves <= {"v4.u32", "v4.f32"} | (
                {"v4.u8", "v4.u16"} if kernel.startswith("max_pool") else set()
            ), kernel
