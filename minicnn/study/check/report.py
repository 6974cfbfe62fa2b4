"""What the check found, as records: for JSON, and as the page that a student reads."""

from dataclasses import asdict, dataclass, field
from typing import Any

VERDICTS = ("right", "wrong", "missing", "error", "not judged")


@dataclass
class Row:
    """The verdict on one result over all geometries. points: 1 if it is right."""

    result: str
    verdict: str
    right: int
    total: int
    note: str = ""

    @property
    def points(self) -> int:
        """1 for a right result."""
        return int(self.verdict == "right")


@dataclass
class Finding:
    """One mistake that explains wrong results: its name, the formula it violates, the advice."""

    name: str
    results: list[str]
    says: str
    advice: str
    formulas: list[str]


@dataclass
class Example:
    """The smallest case by hand in which a result is wrong."""

    result: str
    lines: list[str]


@dataclass
class Check:
    """One operation of a file, checked."""

    name: str
    operation: str
    title: str
    how: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)  # side effects: each is a fault
    clues: list[str] = field(default_factory=list)  # about mistakes that no form matches
    remarks: list[str] = field(default_factory=list)  # no faults
    error: str = ""  # why it could not be checked to its end

    @property
    def points(self) -> int:
        """One point per right result, and one for no side effects."""
        clean = not self.effects and not self.error and any(r.points for r in self.rows)
        return sum(row.points for row in self.rows) + clean

    @property
    def possible(self) -> int:
        """The points of a right solution."""
        return len(self.rows) + 1

    @property
    def is_missing(self) -> bool:
        """True if nothing of it is written yet."""
        return bool(self.rows) and all(row.verdict == "missing" for row in self.rows)

    @property
    def ok(self) -> bool:
        """True if every result is right and there are no side effects."""
        return self.points == self.possible

    def __str__(self) -> str:
        from .page import check_text

        return check_text(self)

    def _repr_html_(self) -> str:
        from .page import as_html, check_lines

        return as_html(check_lines(self))


@dataclass
class Report:
    """Everything that was checked in one file. `print(report)` and a notebook show the page."""

    file: str
    checks: list[Check] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def ok(self) -> bool:
        """True if something was checked and all of it is right."""
        return not self.error and bool(self.checks) and all(c.ok for c in self.checks)

    @property
    def points(self) -> int:
        """The sum of the points of all checks."""
        return sum(c.points for c in self.checks)

    @property
    def possible(self) -> int:
        """The points of a right file."""
        return sum(c.possible for c in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, with the points, for JSON."""
        record = asdict(self) | {"ok": self.ok, "points": self.points, "possible": self.possible}
        for check, plain in zip(self.checks, record["checks"], strict=True):
            plain |= {"ok": check.ok, "points": check.points, "possible": check.possible}
        return record

    def __str__(self) -> str:
        from .page import report_text

        return report_text(self)

    def _repr_html_(self) -> str:
        from .page import as_html, report_lines

        return as_html(report_lines(self))


def check_from_dict(record: dict[str, Any]) -> Check:
    """A Check from what `asdict` made of it."""
    plain = {k: v for k, v in record.items() if k in Check.__dataclass_fields__}
    plain["rows"] = [Row(**r) for r in plain["rows"]]
    plain["findings"] = [Finding(**f) for f in plain["findings"]]
    plain["examples"] = [Example(**e) for e in plain["examples"]]
    return Check(**plain)
