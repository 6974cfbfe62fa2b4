"""Mistakes planted in the kernels: the emulator must notice each."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn import models, training
from minicnn.kernels import functional, reference
from minicnn.kernels.cuda import runtime
from minicnn.kernels.ladder import gpu
from minicnn.kernels.ladder.gpu import lenet

from .. import emulator
from .common import relative, to_device
from .test_compile import sources

SEEDS = range(3)


def results(file: str):
    """What the operations of a source give, and what they should."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((3, 7, 6, 40), dtype=np.float32)
    w = generator.standard_normal((3, 3, 40, 16), dtype=np.float32) / 19
    dy = generator.standard_normal((3, 7, 6, 16), dtype=np.float32)
    one, four = np.ones(40, np.float32), np.arange(40, dtype=np.float32)

    def both(operation, *arguments):
        ours = getattr(functional, operation)(
            *[to_device(a.copy() if hasattr(a, "copy") else a) for a in arguments]
        )
        theirs = getattr(reference, operation)(
            *[a.copy() if hasattr(a, "copy") else a for a in arguments]
        )
        return list(zip(ours, theirs, strict=True)) if isinstance(ours, tuple) else [(ours, theirs)]

    if file == "sums.cuh":
        return both("conv2d_grad_weight", x, x, (3, 3, 1, 40), 1, 1, 1, 40)  # and of the bias
    if file == "multiply.cuh":
        found = both("conv2d", x, w, None, 1, 1) + both("conv2d_grad_input", dy, w, x.shape, 1, 1)
        return found + both("conv2d_grad_weight", dy, x, w.shape, 1, 1)
    if file == "norm.cu":
        found = both("local_response_norm", x, 5, 0.5) + both("batch_norm", x, one, four, four, one)
        return found + both("local_response_norm_grad", x, x, x, abs(x) + 1, 5, 0.5)
    if file == "group_norm.cu":
        statistics = (x[:, 0, :2, 0].copy(), abs(x[:, 0, :2, 1]) + 1)
        found = both("group_norm", x, one, four, 2) + both("layer_norm", x, one, four)
        return found + both("group_norm_grad", x[::-1].copy(), x, one, *statistics)
    if file == "pool.cu":
        return both("global_avg_pool2d", x)
    if file == "loss.cu":
        from minicnn.kernels.cuda.loss import tally

        labels = np.arange(300) % 7
        logits = np.random.default_rng(0).standard_normal((300, 7), dtype=np.float32)
        totals = to_device(np.zeros(2))
        tally(to_device(logits), to_device(labels), to_device(np.ones((), np.float32)), totals)
        counted = (totals, np.array([300.0, (logits.argmax(1) == labels).sum()]))
        return [*both("softmax_cross_entropy", logits, labels), counted]
    if file.startswith("lenet."):
        return lenet_step()
    if file == "conv06_async.cu":
        return rung_in_the_background()
    if file == "norm.cuh":
        return rung_with_several_sums()
    raise AssertionError(f"{file} has barriers, and no case here that would notice their loss")


def lenet_step():
    """The weights after a step of the persistent kernel, and after one on the CPU."""
    model = models.create("lenet5", seed=0)
    parameters = [to_device(p.value.copy()) for p in model.parameters()]
    velocities = [to_device(np.zeros_like(p.value)) for p in model.parameters()]
    x, labels = (
        np.random.default_rng(0).standard_normal((2, 32, 32, 1), dtype=np.float32),
        np.array([3, 5]),
    )
    lenet.train_step(
        parameters, velocities, to_device(x), to_device(labels), to_device(np.zeros(2)), 1.0
    )
    _, gradient = training.SoftmaxCrossEntropy()(model(x), labels)
    model.backward(gradient, need_dx=False)
    return [
        (ours, p.value - p.grad) for ours, p in zip(parameters, model.parameters(), strict=True)
    ]


def rung_in_the_background():
    """Sums of several steps by the ladder's rung that copies while it multiplies."""
    generator = np.random.default_rng(0)
    x, dy = (generator.standard_normal((3, 4, 4, 16), dtype=np.float32) for _ in range(2))
    w = generator.standard_normal((3, 3, 16, 16), dtype=np.float32)
    rung = next(rung for rung in gpu.rungs() if rung.name == "cp.async")
    passes = rung.prepare(*map(to_device, (x, w, w[0, 0, 0], dy)))
    exact = reference.conv2d_grad_input(dy, w, x.shape, padding=1)
    weights = reference.conv2d_grad_weight(dy, x, w.shape, padding=1)[0]
    return [(passes["grad_input"](), exact), (passes["grad_weight"](), weights)]


def rung_with_several_sums():
    """Batch norm by the ladder's rung that sums four channels, one after the other."""
    x = np.random.default_rng(0).standard_normal((3, 9, 9, 8), dtype=np.float32) + 3
    gamma, beta = np.ones(8, np.float32), np.arange(8, dtype=np.float32)
    rung = next(rung for rung in gpu.rungs("batch_norm") if rung.name == "vectors")
    passes = rung.prepare(*map(to_device, (x, gamma, beta)))
    rows = x.reshape(-1, 8).astype(np.float64)
    exact = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * gamma + beta
    return [(passes["forward"](), np.maximum(exact, 0).reshape(x.shape))]


BARRIER = re.compile(r"__syncthreads\(\);|copies_arrive<[^>]+>\(\);")
ON_DEVICE = re.compile(r"#ifdef EMULATED.*?#endif", re.DOTALL)  # the emulator has its own there


def barriers(file: Path):
    text = ON_DEVICE.sub(lambda match: " " * len(match[0]), file.read_text())
    for match in BARRIER.finditer(text):
        line = file.read_text()[: match.start()].count("\n") + 1
        yield pytest.param(file, match.span(), id=f"{file.name}:{line}")


# Of the ladder's rungs, whose loops are alike, one.
RUNGS = set(Path(gpu.__file__).parent.glob("*[0-9]_*.cu")) - {
    Path(gpu.__file__).with_name("conv06_async.cu")
}
ELSEWHERE = {runtime.SOURCES / "conv_hopper.cu"}  # test_hopper.py plants its mistakes
# Before the next sum of a warp the emulator's warps take turns: none of them can overtake another.
IN_STEP = {"norm.cuh:18"}
BARRIERS = [
    case
    for file in sources("*.cu*")
    if file not in RUNGS | ELSEWHERE
    for case in barriers(file)
    if case.id not in IN_STEP
]
CLEAN: set[Path] = set()  # sources that were seen to be right with all of their barriers


def without(file: Path, span: tuple[int, int]) -> tuple[str, str]:
    """The change that takes away the barrier there: the text around it, with and without."""
    text, (start, end) = file.read_text(), span
    before, after = text[max(0, start - 150) : start], text[end : end + 50]
    return before + text[start:end] + after, before + after


@pytest.mark.parametrize(("file", "span"), BARRIERS)
def test_a_missing_barrier_is_noticed(file, span, emulate):
    """Without it, some order of the threads gives a wrong result; with it, none does."""

    def wrong(seed, changes=()):
        emulate(seed=seed, changes=changes)
        with np.errstate(all="ignore"):
            return any(
                not np.isfinite(np.asarray(a, float)).all() or relative(a, b) > 1e-4
                for a, b in results(file.name)
            )

    if file not in CLEAN:
        assert not any(wrong(seed) for seed in SEEDS)
        CLEAN.add(file)
    assert any(wrong(seed, [without(file, span)]) for seed in SEEDS)


def test_divergent_barriers_are_noticed(emulate):
    """A barrier that only some threads reach, while others wait for their warp, is an error."""
    emulate(
        changes=[
            (
                "sum = warp_sum(sum);\n    if (LANE == 0) sums",
                "if (LANE) sum = warp_sum(sum);\n    else __syncthreads();\n"
                "    if (LANE == 0) sums",
            )
        ]
    )
    with pytest.raises(RuntimeError, match="mean_loss: threads wait at different barriers"):
        functional.softmax_cross_entropy(
            to_device(np.zeros((4, 3), np.float32)), to_device(np.zeros(4, np.int64))
        )


SANITIZED = """
import sys
import numpy as np
from minicnn.kernels import functional
from tests import emulator
from tests.cuda.common import to_device
from tests.cuda.test_emulated import bf16_cases
run = emulator.Emulator(seed=1, sanitize=True, changes=eval(sys.argv[1]))
emulator.install(run)
for c in (3, 8):
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 7, 6, c), dtype=np.float32)
    w = to_device(np.ones((3, 3, c, 2 * c), np.float32))
    y = functional.conv2d(to_device(x), w, None, 2, 1)
    scale, shift, *statistics = [to_device(np.ones(2 * c, np.float32)) for _ in range(6)]
    y = functional.conv2d_affine(to_device(x), w, scale, shift, y, 2, 1)
    functional.batch_norm_add(y, y, *statistics)
    functional.conv2d_grad_input_relu(y, w, to_device(x), 2, 1)
    functional.conv2d_grad_weight(y, to_device(x), w.shape, 2, 1)
for operation, arguments in bf16_cases(x, dy, c).items():
    given = [to_device(np.array(a)) if hasattr(a, "shape") else a for a in arguments]
    getattr(functional, operation)(*given)
print(len(set(run.launches)))
"""


def test_under_address_sanitizer():
    """Each kind of operation runs with checked accesses; an access beyond the end is found."""
    if emulator.COMPILER is None:
        pytest.skip("no C++ compiler on this machine")
    library = subprocess.run(
        [emulator.COMPILER, "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("the compiler has no AddressSanitizer")

    def run(changes):
        return subprocess.run(
            [sys.executable, "-c", SANITIZED, repr(changes)],
            cwd=Path(__file__).parents[2],
            env={
                "LD_PRELOAD": library,
                "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
                "PATH": "/usr/bin:/bin",
                "HOME": "/tmp",
            },
            capture_output=True,
            text=True,
        )

    clean = run([])
    assert clean.returncode == 0, clean.stderr[-3000:]
    assert int(clean.stdout) >= 24, "kernels that ran"
    planted = run([("n < g.n ? g.k - step * BK : 0", "g.k - step * BK")])
    assert planted.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in planted.stderr
