"""The code of the kernels for ARM, and the arguments of the script that runs them."""

import subprocess
import sys

import pytest
from llvmlite import binding

from minicnn.kernels.cpu.engine.simd import WIDTHS
from tools import arm

NESTED = """
outer:
	ldr	q9, [x1]
.LBB0_1:
	movi	v0.2d, #0
.LBB0_2:
	ldp	q1, q2, [x2], #32
	// a comment
	fmla	v0.4s, v1.4s, v3.s[0]
	fmla	v4.4s, v2.4s, v3.s[0]
	str	q4, [sp, #16]
	subs	x3, x3, #1
	b.ne	.LBB0_2
	cbnz	x4, .LBB0_1
	cbz	x4, .LBB0_3
	fmla	v0.4s, v1.4s, v3.s[0]
.LBB0_3:
	ret
"""


def test_innermost_loops():
    """Not the outer loop, and not the jump forwards."""
    assert list(arm.innermost_loops(NESTED)) == [arm.Loop(6, 2, 1)]


def run(*arguments):
    command = [sys.executable, "-W", "ignore", "-m", "tools.arm", *arguments]
    return subprocess.run(command, cwd=arm.ROOT, capture_output=True, text=True, check=False)


def has_target():
    binding.initialize_all_targets()
    try:
        return binding.Target.from_triple(arm.TRIPLE)
    except RuntimeError:
        return None


@pytest.mark.skipif(not has_target(), reason="this LLVM does not compile for ARM")
def test_the_register_tile_fits_into_the_registers_of_neon():
    """Sums that do not fit are spilled to the stack: a tile of 16 rows has 12 such instructions."""
    done = run("code", "patch_products")
    assert done.returncode == 0, done.stderr[-2000:]
    name, *counts = done.stdout.splitlines()[-1].split()
    instructions, products, spills = map(int, counts)
    assert (name, products, spills) == ("patch_products", 2 * WIDTHS["neon"][1], 0)
    assert instructions <= 40  # 36: products, loads of 8 factors and 2 vectors, 11 for the loop


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program"], "no-such-program is missing: `root` needs Debian or Ubuntu"),
        ([sys.executable, "-c", "exit(3)"], "-c 'exit(3)': exit status 3"),
    ],
)
def test_a_step_that_fails_is_named(command, message):
    with pytest.raises(SystemExit) as error:
        arm._run(*command)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["code", "conv"], "unknown kernel 'conv'; expected one of patch_products, weight_pro"),
        (["code", "--cpu", "x"], "unknown argument: --cpu"),
        (["run", "nowhere", "-V"], "nowhere: no emulator is there; run `python -m tools.arm root`"),
        (["compile", "nowhere"], "nowhere: no emulator is there; run `python -m tools.arm root`"),
    ],
)
def test_wrong_arguments_are_named(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["arm", *arguments])
    with pytest.raises(SystemExit) as error:
        arm.main()
    assert message in f"{error.value} {capsys.readouterr().err}"
