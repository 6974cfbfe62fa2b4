"""Mistakes in other styles of code than the catalogue's: im2col, einsum, strides, small steps.

    python -m tests.study.check.unseen

`unseen.json` has seven rounds of mistakes in the solutions of `students/`. Each round was written
before the catalogue was extended, and run; then what it showed to be missing was added. "named" is
what the check says of each result, as a person judged it to be right; none means that the mistake
has no name, and that an example must show it.
"""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from minicnn.study.check.find import find_subjects
from minicnn.study.check.report import Check
from minicnn.study.check.run import check_subject

HERE = Path(__file__).parent
UNSEEN = json.loads((HERE / "unseen.json").read_text())


def check_unseen(mistake: dict) -> Check:
    """The check of the solution with the mistake."""
    file = mistake.get("file", "styles_right")
    text = (HERE / "students" / f"{file}.py").read_text()
    head, mark, tail = text.partition(mistake["start"])
    assert mark, mistake
    for old, new in edits(mistake):
        assert old in tail, mistake
        tail = tail.replace(old, new, 1)
    np.random.seed(0)  # noqa: NPY002 - the solutions draw from it, as their course does
    torch.manual_seed(0)
    module = ModuleType("student")
    exec(compile(head + mark + tail, "student.py", "exec"), module.__dict__)
    subjects, _ = find_subjects(module, Path("student.py"))
    return check_subject(next(s for s in subjects if s.name == mistake["check"]))


def edits(mistake: dict) -> list[list[str]]:
    """The texts that are replaced, and by what."""
    return mistake.get("edits") or [[mistake["old"], mistake["new"]]]


def named(check: Check) -> dict[str, str]:
    """Result -> what the check says of it, shortened."""
    return {result: f.says[:60] for f in check.findings for result in f.results}


def main() -> int:
    """Print the share of named mistakes per round; 1 if one has another name than expected."""
    other = 0
    for number in sorted({mistake["round"] for mistake in UNSEEN}):
        own = [mistake for mistake in UNSEEN if mistake["round"] == number]
        found = [named(check_unseen(mistake)) for mistake in own]
        print(f"round {number}: {sum(map(bool, found))} of {len(own)} named")
        for mistake, names in zip(own, found, strict=True):
            if names != mistake["named"]:
                other += 1
                print(f"  {mistake['check']}: {edits(mistake)[0][1][:60]!r}: {names}")
    print(f"{other} have another name than expected")
    return int(other > 0)


if __name__ == "__main__":
    sys.exit(main())
