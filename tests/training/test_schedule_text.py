"""Schedules from text: what is read, and the sentence about what is not."""

import inspect

import pytest

from minicnn.training import schedules
from minicnn.training.schedule_text import parse_schedule

READ = {
    "cosine": schedules.Cosine(),
    " cosine(end=0.1) ": schedules.Cosine(0.1),
    "step(30)": schedules.StepDecay(30),
    "step(30, 0.5)": schedules.StepDecay(30, 0.5),
    "step(size=100, gamma=1e-1, unit='step')": schedules.StepDecay(100, 0.1, "step"),
    "multistep([80, 120])": schedules.MultiStep((80, 120)),
    "multistep((80, 120), gamma=0.2)": schedules.MultiStep((80, 120), 0.2),
    "piecewise({0: 1, 2: 0.4})": schedules.PiecewiseConstant({0: 1, 2: 0.4}),
    "plateau(patience=2)": schedules.ReduceOnPlateau(patience=2),
}


@pytest.mark.parametrize("text", READ)
def test_read(text):
    assert repr(parse_schedule(text)) == repr(READ[text])


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_every_name(name):
    """A name alone is enough if no argument is required; else the sentence names the argument."""
    kind = schedules.SCHEDULES[name]
    signature = inspect.signature(kind).parameters.values()
    missing = [p.name for p in signature if p.default is p.empty]
    if not missing:
        assert type(parse_schedule(name)) is kind
        return
    with pytest.raises(ValueError, match=f"missing a required argument: '{missing[0]}'; expected"):
        parse_schedule(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo(3)", r"schedule='foo\(3\)': expected one of constant, step"),
        ("step(30, 0.1", r"expected a name or name\(arguments\), as step\(30, 0.1\)"),
        ("os.remove('x')", r"expected a name or name\(arguments\)"),
        ("", r"schedule='': expected a name or"),
        ("step(30, bogus=3)", "got an unexpected keyword argument 'bogus'; expected step"),
        ("step('a')", "size is 'a'; expected a number"),
        ("step(1e999)", "size is inf; expected a number"),
        ("step(0)", "size=0: expected a positive number of epochs"),
        ("step(True)", "size is True; expected a number"),
        ("plateau(patience=2.5)", "patience is 2.5; expected a whole number"),
        ("multistep(80)", r"milestones is 80; expected a list of numbers, as \[80, 120\]"),
        ("piecewise([1])", "factors is .1.; expected a dict of numbers"),
        ("cosine(unit=3)", "unit is 3; expected text in quotes"),
        ("cosine(unit='day')", "unit='day': expected 'epoch' or 'step'"),
        ("step(__import__('os'))", r"__import__\('os'\) is not a number, text in quotes"),
    ],
)
def test_what_is_not_read(text, message):
    with pytest.raises(ValueError, match=message):
        parse_schedule(text)
