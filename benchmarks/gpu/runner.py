"""The parent process: each part in a child with its own limits, restarted after a failed task."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .parts import DEVICE_LOST, Part

START = 60  # seconds that a child may take before its first line: imports, the device's context
RESTARTS = 8  # of one part; after that many failed processes its other tasks are left out


class Runner:
    """Runs parts and collects their lines.

    Args:
        command: the command that starts a child; `--part` and the rest are added.
        seconds: the time for all parts; tasks that do not fit in are noted as left out.
        limit: the longest time for one task, in seconds.
        say: prints a line.
    """

    def __init__(
        self, command: Sequence[str], seconds: float, limit: float, say: Callable[[str], None]
    ):
        self._command, self._limit, self._say = list(command), limit, say
        self._begun = time.monotonic()
        self._end = self._begun + seconds
        self._child: subprocess.Popen | None = None
        self.lines: list[dict[str, Any]] = []

    def run(self, parts: Sequence[Part], keep: Callable[[], None] = lambda: None) -> None:
        """Run them one after the other; `keep` is called after each."""
        for part in parts:
            if time.monotonic() >= self._end:
                self._note(part, "left out", "", "no time was left")
                continue
            self._say(f"[{time.monotonic() - self._begun:4.0f} s] {part.name}")
            self._run_part(part)
            keep()

    def close(self) -> None:
        """End a child that still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _run_part(self, part: Part) -> None:
        first = 0
        for _ in range(RESTARTS):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "lines.jsonl"
                path.touch()
                code, task = self._watch(part, path, first)
            if code == 0:
                return
            if task is None:
                return self._note(
                    part, "failure", part.name, f"{_ending(code)} before its first task"
                )
            number, name, told = task
            if time.monotonic() >= self._end:
                return self._note(part, "left out", name, "the time for all parts ended here")
            if not told:
                self._note(part, "failure", name, _ending(code))
            first = number + 1
            self._say(f"       goes on after: {name}")
        self._note(
            part, "left out", part.name, f"{RESTARTS} of its processes ended before their time"
        )

    def _watch(
        self, part: Part, path: Path, first: int
    ) -> tuple[int | str, tuple[int, str, bool] | None]:
        """Run a part in a child.

        Returns the exit code, or why the child was killed, and the task that ran last: its number,
        its name, and whether its failure is written.
        """
        log = path.with_suffix(".log")
        with path.open(encoding="utf-8") as lines, log.open("w") as output:
            command = [
                *self._command,
                "--part",
                part.name,
                "--json",
                str(path),
                "--first",
                str(first),
            ]
            self._child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            task: tuple[int, str, bool] | None
            task, heard, limit, rest = None, time.monotonic(), float(START), ""
            while True:
                # before reading, so that the last lines are read too
                code: int | str | None = self._child.poll()
                for line in iter(lines.readline, ""):
                    rest += line
                    if not rest.endswith("\n"):
                        break  # written in part
                    found, rest, heard = json.loads(rest), "", time.monotonic()
                    limit = min(part.limit, self._limit)
                    task = self._take(found, task)
                if code is None and time.monotonic() > min(heard + limit, self._end):
                    self.close()
                    code = f"not finished after {limit:g} s"
                if code is not None:
                    break
                time.sleep(0.02)
        if code not in (0, DEVICE_LOST):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-6:])
            self.lines.append({"part": part.name, "kind": "output", "text": tail[-1500:]})
        return code, task

    def _take(self, line: dict, task: tuple[int, str, bool] | None) -> tuple[int, str, bool] | None:
        """Keep a child's line; returns the task that is running."""
        if line["kind"] == "begin":
            return line["task"], line["name"], False
        self.lines.append(line)
        if line["kind"] == "failure":
            self._say(f"       FAILED {line['name']}: {line['message']}")
            return task and (*task[:2], True)
        if line["kind"] == "check" and not line["passed"]:
            size = f"error {line['error']:.1e}, limit {line['limit']:.0e}"
            self._say(f"       FAILED {line['name']}: {size}")
        return task

    def _note(self, part: Part, kind: str, name: str, message: str) -> None:
        self.lines.append({"part": part.name, "kind": kind, "name": name, "message": message})
        verb = "FAILED" if kind == "failure" else "left out:"
        self._say(f"       {verb} {name or part.name}: {message}")


def _ending(code: int | str) -> str:
    """What ended a child, in words."""
    if isinstance(code, str):
        return code
    return (
        f"its process was ended by signal {-code}"
        if code < 0
        else f"its process ended with exit code {code}"
    )
