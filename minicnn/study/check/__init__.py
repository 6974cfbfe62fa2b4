"""Check my layer: is it right, which mistake is it, and an example by hand.

    from minicnn import study

    print(study.check(conv_forward_naive, conv_backward_naive))
    print(study.check_file("layers.py"))

`case.py` has the records, `operations/` the definitions and the catalogue of mistakes, `judge.py`
the verdicts, `diagnose.py` the search for the mistake, `example.py` the example by hand.
"""

from .api import check
from .files import check_file
from .report import Check, Example, Finding, Report, Row

__all__ = ["Check", "Example", "Finding", "Report", "Row", "check", "check_file"]
