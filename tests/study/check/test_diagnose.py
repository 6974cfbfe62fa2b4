"""Which mistake it is: every form of the catalogue, and mistakes in the source of solutions."""

from dataclasses import replace

import numpy as np
import pytest

from minicnn.study.check.diagnose import _of_catalogue
from minicnn.study.check.find import find_subjects, load_module
from minicnn.study.check.judge import Trial
from minicnn.study.check.operations import OPERATIONS
from minicnn.study.check.operations.generic import generic_faults
from minicnn.study.check.run import check_subject
from minicnn.study.check.subject import Outcome

from .held_out import HELD_OUT
from .mutants import MUTANTS, STUDENTS
from .unseen import UNSEEN, check_unseen, edits, named
from .variants import check_variant


@pytest.fixture(autouse=True)
def _same_masks():
    np.random.seed(0)  # noqa: NPY002 - the solutions draw from it, as their course does


@pytest.mark.parametrize("mutant", MUTANTS + HELD_OUT, ids=lambda m: f"{m.check}: {m.new[-60:]}")
def test_mistakes_in_solutions_are_named(mutant):
    check = mutant.run()
    assert not check.ok
    assert mutant.is_named(check), str(check)


def remembered(form):
    """The form, computed once per case: all forms are compared with each other."""
    known = {}

    def of(case):
        key = id(case)
        if key not in known:
            try:
                known[key] = case, np.asarray(form(case)), None  # the case keeps its id in use
            except Exception as error:
                known[key] = case, None, error
        if known[key][2] is not None:
            raise known[key][2]
        return known[key][1]

    return of


def trials_of(operation, cases, result, form):
    """All cases with right results, but for one, which has the form's numbers."""
    trials = []
    for case, right in cases:
        found = dict(right)
        if operation.is_random and "y" in found:
            mask = np.random.default_rng(1).random(case.x.shape) < case.p
            found = operation.truth(case, {"y": case.x * mask})
        settled = operation.settle(case, found)
        if result not in found:
            continue
        try:
            found[result] = np.asarray(form(settled))
        except (ValueError, IndexError):
            continue  # a form that exists only for square kernels or images
        trials.append(Trial(settled, operation.truth(case, found), Outcome(results=found)))
    return trials


CARRIED_OVER = {"grouped_conv2d", "depthwise_conv2d", "conv_transpose2d"}  # from the convolution


def named_share(operation):
    """How many forms of the catalogue are named by their own name, and those that are not."""
    count, others = 0, {}
    cases = [(case, operation.right(case)) for case in operation.cases(np.random.default_rng(3))]
    faults = [
        replace(fault, forms={r: remembered(form) for r, form in fault.forms.items()})
        for fault in (*operation.faults, *generic_faults(operation))
    ]

    def forms(operation, result):
        return (((f.name, "", ""), f.forms[result]) for f in faults if result in f.forms)

    tested = faults
    if operation.name in CARRIED_OVER:
        names = {fault.name for fault in OPERATIONS["conv2d"].faults}
        tested = [f for i, f in enumerate(faults) if f.name not in names or i % 16 == 0]
    for fault in tested:
        for result, form in fault.forms.items():
            with np.errstate(all="ignore"):
                trials = trials_of(operation, cases, result, form)
                names = [name for name, *_ in _of_catalogue(operation, result, trials, forms)]
            if not trials:  # the masks of these trials drop values; see test_api
                assert fault.name == "nothing dropped"
                continue
            assert any(not t.is_right(result) for t in trials), (fault.name, result)
            assert fault.name in names, (fault.name, result, names)
            count += 1
            if names[0] != fault.name:
                others[fault.name, result] = names[0]
    return count, others


def test_forms_of_the_catalogue_are_told_apart():
    """At least 95 % by their own name; the others give the same numbers in every geometry."""
    found = {name: named_share(operation) for name, operation in OPERATIONS.items()}
    total = sum(count for count, _ in found.values())
    other = sum(len(others) for _, others in found.values())
    assert total > 900
    assert other <= 0.05 * total, found


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_no_right_variant_is_called_wrong(start):
    for seed in range(start, start + 20):
        check = check_variant(seed)
        assert check.ok, f"seed {seed}\n{check}"


@pytest.mark.parametrize("file", ["more_right", "styles_right", "courses_right"])
def test_right_solutions_are_right(file):
    module, _ = load_module(STUDENTS / f"{file}.py")
    subjects, skipped = find_subjects(module, STUDENTS / f"{file}.py")
    assert skipped == []
    wrong = [str(check) for check in map(check_subject, subjects) if not check.ok]
    assert not wrong, wrong[0]


@pytest.mark.parametrize(
    "mistake", UNSEEN[::19], ids=lambda m: f"{m['check']}: {edits(m)[0][1][-40:]}"
)
def test_mistakes_in_other_styles_are_named(mistake):
    check = check_unseen(mistake)
    assert not check.ok
    assert named(check) == mistake["named"], str(check)


def test_most_mistakes_in_other_styles_have_a_name():
    assert sum(bool(mistake["named"]) for mistake in UNSEEN) >= 0.9 * len(UNSEEN)
