"""A student's file, checked in a process of its own: an endless loop becomes a sentence."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import minicnn

from ...checks import is_one_of
from ...errors import DataError, brief
from .operations import OPERATIONS
from .report import Report, check_from_dict
from .run import failed
from .subject import LAYOUTS

START = 120.0  # seconds in which the process imports minicnn, also on a busy machine
GRACE = 15.0  # seconds beyond the timeout, in which the process ends by itself


def check_file(
    path: str | os.PathLike[str],
    *,
    layout: str | None = None,
    timeout: float = 30.0,
    seed: int = 0,
) -> Report:
    """Check every function pair, static method pair and layer of one Python file.

    The file is executed, in a process of its own. layout: "NCHW" or "NHWC"; found by trying if
    None. timeout: seconds for one operation; the file's import counts as one.
    Raises DataError if there is no such file, ValueError for an unknown layout.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.suffix != ".py":
        raise DataError(f"{path}: expected a file of Python, NAME.py")
    if layout is not None and not is_one_of(layout, LAYOUTS):
        raise ValueError(f"layout={brief(layout)}: expected one of {', '.join(LAYOUTS)}")
    report = Report(str(path))
    operations: dict[str, str] = {}
    done: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        request: dict[str, Any] = {
            "path": str(path),
            "seed": seed,
            "layout": layout,
            "timeout": timeout,
            "trace": str(Path(folder) / "trace"),
        }
        while True:
            child = _Child(request | {"skip": done}, timeout)
            started = _take(child, report, operations, done)
            if child.ended or report.error:
                break
            if started is None:
                report.error = f"{path.name}: {child.why('while it was imported', path, timeout)}"
                break
            operation = OPERATIONS.get(operations[started])
            report.checks.append(failed(started, operation, child.why("", path, timeout)))
            done.append(started)
    if not report.checks and not report.error:
        report.error = (
            f"{path.name}: nothing to check was found; expected functions such as "
            "conv_forward_naive and conv_backward_naive, classes with static forward and backward, "
            "or layers of minicnn"
        )
    return report


def _take(
    child: "_Child", report: Report, operations: dict[str, str], done: list[str]
) -> str | None:
    """Take the child's messages until it ends. Returns the check that it did not finish."""
    started = None
    for message in child.messages():
        if "error" in message:
            report.error = message["error"]
        elif "found" in message:
            operations.update(message["found"])
            report.remarks = message["remarks"]
        elif "start" in message:
            started = message["start"]
        elif "check" in message:
            report.checks.append(check_from_dict(message["check"]))
            done.append(report.checks[-1].name)
            started = None
    return started


class _Child:
    """The process, its messages, and why it ended."""

    def __init__(self, request: dict[str, Any], timeout: float):
        self.request, self.started, self.ended = request, False, False
        root = str(Path(minicnn.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        Path(request["trace"]).unlink(missing_ok=True)  # that of an earlier process
        self.errors = Path(request["trace"]).with_name("errors")
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"},
            )
        self.timeout = timeout

    def messages(self) -> Any:
        """Each message; the process is killed if none comes in time."""
        assert self.process.stdin
        assert self.process.stdout
        with self.process:
            self.process.stdin.write(json.dumps(self.request))
            self.process.stdin.close()
            timer = self._timer(START)
            try:
                for line in self.process.stdout:
                    timer.cancel()
                    message = json.loads(line)
                    self.started = True
                    self.ended = self.ended or "end" in message
                    timer = self._timer(self.timeout + GRACE)
                    yield message
                self.process.wait()  # it has closed its output; the timer ends it if it hangs
            finally:
                timer.cancel()
                self.process.kill()

    def _timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self.process.kill)
        timer.daemon = True
        timer.start()
        return timer

    def why(self, when: str, path: Path, timeout: float) -> str:
        """One sentence: what ended the process, and in which line of the file it was."""
        trace = Path(self.request["trace"])
        text = trace.read_text(errors="replace") if trace.exists() else ""
        after = f" {when}" if when else ""
        if not self.started and self.process.returncode in (-9, 137):
            return f"its process did not start within {START:g} s"
        if "Timeout" in text or self.process.returncode in (-9, 137):
            own = re.search(
                rf'File "{re.escape(str(path.resolve()))}", line (\d+) in (\w+|<module>)', text
            )
            place = f": it was in line {own[1]} of {own[2]}" if own else ""
            return f"no answer within {timeout:g} s{after}{place}. Is there an endless loop?"
        lines = self.errors.read_text(errors="replace").split("\n")
        last = [line.strip() for line in lines if line.strip()][-1:]
        reason = f": {last[0]}" if last else ""
        return f"the process ended{after} (exit status {self.process.returncode}){reason}"
