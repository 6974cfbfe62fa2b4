"""The check of one subject: verdicts, diagnosis, examples, in the student's own terms."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from ..gradcheck import check_gradients
from .arguments import UPSTREAM, SignatureError, parameters
from .case import Operation
from .diagnose import diagnose
from .example import smallest
from .functions import AutogradFunction, Pair, quiet
from .judge import SINGLE, judge, run_cases
from .own_layers import LayerSubject, OwnLayer, input_for
from .page import translate
from .report import Check, Row
from .subject import LAYOUTS, Subject, shape_of


def check_subject(subject: Subject, seed: int = 0, layout: str | None = None) -> Check:
    """Judge and diagnose one subject. layout: a key of `LAYOUTS`, or None to find it by trying."""
    subjects: Sequence[Subject] = [subject]
    if isinstance(subject, Pair):
        subjects = _settled(subject, layout)
    elif isinstance(subject, LayerSubject):
        subjects = [subject.settled()]
    found = [_examined(s, seed) for s in subjects]
    ranks = [
        (c.points, len(c.findings), -sum(f.says.count("; and") for f in c.findings)) for c in found
    ]
    best = ranks.index(max(ranks))
    check = _in_own_terms(_with_examples(found[best], subjects[best]), subjects[best])
    known = [_says(check)]
    for own, rank, other in zip(subjects, ranks, found, strict=True):
        if rank == ranks[best] and own.layout != subjects[best].layout:
            says = _says(_in_own_terms(other, own))
            if says and says not in known:
                known.append(says)
                check.remarks.append(
                    f"The order of the axes is not certain. In {own.layout}: {says}."
                )
    return check


def _says(check: Check) -> str:
    """The mistakes as one text."""
    return "; ".join(finding.says for finding in check.findings)


def _examined(subject: Subject, seed: int) -> Check:
    with np.errstate(all="ignore"):  # results may be infinite
        check, trials = judge(subject, seed)
        diagnose(subject, check, trials)
    return check


def _with_examples(check: Check, subject: Subject) -> Check:
    """An example for each mistake, and for each result whose mistake has no name."""
    first = {finding.results[0] for finding in check.findings}
    named = {result for finding in check.findings for result in finding.results}
    follows = any("the forward that you wrote" in remark for remark in check.remarks)
    for row in check.rows:
        is_shown = row.result in first or row.result not in named
        if row.verdict == "wrong" and is_shown and (row.result == "y" or not follows):
            example = smallest(subject, row.result)
            check.examples += [example] if example else []
    return check


def _settled(pair: Pair, layout: str | None) -> list[Pair]:
    """The pair with the framework, the layout and the shapes in which its output is right.

    If it is right in none, all in which it has the right shape.
    """
    candidates = [layout] if layout else list(LAYOUTS)
    if not pair.operation.images or isinstance(pair, AutogradFunction):
        candidates = candidates[:1]
    frameworks = [pair.framework, "numpy"] if pair.framework == "torch" else ["numpy"]
    if isinstance(pair, AutogradFunction):
        frameworks = ["torch"]
    result = "loss" if pair.operation.name.endswith("_loss") else "y"
    scores: list[tuple[tuple[int, int], Pair]] = []
    fallback: Pair | None = None
    forms = (pair.operation, *pair.operation.forms)
    for framework, name, form in product(frameworks, candidates, forms):
        attempt = _with(pair, framework, name, form)
        cases = [
            c for c in attempt.operation.cases(np.random.default_rng(0)) if c.output != "y_test"
        ]
        trials = run_cases(attempt, cases[:3])
        right = sum(t.is_right(result, SINGLE) for t in trials)
        if trials and right == len(trials):
            if not any(t.outcome.failures for t in trials):
                return [attempt]
            fallback = fallback or attempt  # its backward may be for arrays of the other framework
        shapes = sum(shape_of(t.outcome.results, result) == t.right[result].shape for t in trials)
        scores.append(((shapes, right), attempt))
    if fallback:
        return [fallback]
    best = max(score for score, _ in scores)
    return [attempt for score, attempt in scores if score == best]


def _with(pair: Pair, framework: str, layout: str, operation: Operation) -> Pair:
    other = copy(pair)
    other.framework, other.layout, other.operation = framework, layout, operation
    return other.fitted()


def _in_own_terms(check: Check, subject: Subject) -> Check:
    """The findings with the student's order of axes and name of the upstream gradient."""
    upstream = "dy"
    if isinstance(subject, Pair) and subject.backward is not None:
        own = parameters(subject.backward)
        upstream = own[0].name if own and own[0].name in UPSTREAM else upstream
    for finding in check.findings:
        finding.says, finding.advice, *finding.formulas = (
            translate(text, subject.layout, upstream)
            for text in (finding.says, finding.advice, *finding.formulas)
        )
    check.examples = [
        replace(e, lines=[translate(text, "", upstream) for text in e.lines])
        for e in check.examples
    ]
    return check


def failed(name: str, operation: Operation | None, error: str) -> Check:
    """A check that ended early, for a reason given in one sentence."""
    if operation is None:
        return Check(name, "", "a layer of its own", "", error=error)
    check = Check(name, operation.name, operation.title, "", error=error)
    check.rows = [Row(r, "error", 0, 0) for r in operation.formulas if r not in operation.optional]
    return check


def safely(subject: Subject | OwnLayer, seed: int = 0, layout: str | None = None) -> Check:
    """`check_subject`; a parameter that cannot be filled becomes the check's error."""
    if isinstance(subject, OwnLayer):
        return check_own_layer(subject.make(), seed=seed)
    try:
        return check_subject(subject, seed, layout)
    except SignatureError as error:
        return failed(subject.name, subject.operation, str(error))


def check_own_layer(layer: Any, x: Any = None, seed: int = 0) -> Check:
    """The gradients of a layer without a definition here, by finite differences."""
    name = type(layer).__name__
    check = Check(name, "", "a layer of its own", "finite differences of its own forward")
    layer = layer.astype(np.float64)
    try:
        x = input_for(layer, np.random.default_rng(seed)) if x is None else np.array(x, np.float64)
        with quiet():
            found = check_gradients(layer, x, seed=seed)
    except Exception as error:  # from the layer's code
        is_ours = str(error).startswith(("check_gradients", f"{name}: no input was found"))
        kind = "" if is_ours else f"{type(error).__name__}: "
        check.error = f"{kind}{error}"
        return check
    for result, size in found.items():
        right = int(size <= found.tolerance)
        note = "" if right else f"off by {100 * size:.2g} % in random directions"
        check.rows.append(Row(f"d{result}", "right" if right else "wrong", right, 1, note))
    check.how += f" {x.shape}"
    return check
