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
OUT_OF_TIME = "the time for all parts ended here"
RESTARTS = 8  # of one part; after that many failed processes its other tasks are left out
HANGS = 2  # of one part; each costs the whole limit of a task
DEATH = 10  # seconds that a killed process may take; the driver may hold it


class Runner:
    """Runs parts and collects their lines.

    Args:
        command: the command that starts a child; `--part` and the rest are added.
        seconds: the time for all parts; tasks that do not fit in are noted as left out.
        limit: the longest time for one task, in seconds.
        say: prints a line.
        store: gets each line of the results at once.
    """

    def __init__(
        self,
        command: Sequence[str],
        seconds: float,
        limit: float,
        say: Callable[[str], None],
        store: Callable[[dict[str, Any]], None] = lambda line: None,
    ):
        self._command, self._limit, self._say, self._store = list(command), limit, say, store
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

    def close(self) -> str:
        """End a child that still runs; returns a few words if it cannot be ended.

        Then the device is not free, and no other part is started.
        """
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            try:
                self._child.wait(DEATH)
            except subprocess.TimeoutExpired:
                self._child, self._end = None, time.monotonic()
                return "; its process cannot be ended"
        return ""

    def _run_part(self, part: Part) -> None:
        first = hangs = 0
        for _ in range(RESTARTS):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "lines.jsonl"
                path.touch()
                code, task = self._watch(part, path, first)
            if code == 0:
                return
            number, name, told = task or (0, part.name, False)
            if str(code).startswith(OUT_OF_TIME):
                return self._note(part, "left out", name, str(code))
            if task is None:
                return self._note(part, "failure", name, f"{_ending(code)} before its first task")
            if not told:
                self._note(part, "failure", name, _ending(code))
            hangs += isinstance(code, str)
            if hangs == HANGS or time.monotonic() >= self._end:
                why = f"{HANGS} of its tasks hung" if hangs == HANGS else "no time was left"
                return self._note(part, "left out", "the tasks after it", why)
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
                now = time.monotonic()
                if code is None and now > min(heard + limit, self._end):
                    code = f"not finished after {limit:g} s" if now < self._end else OUT_OF_TIME
                    code += self.close()
                if code is not None:
                    break
                time.sleep(0.02)
        if code not in (0, DEVICE_LOST):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-6:])
            self._keep({"part": part.name, "kind": "output", "text": tail[-1500:]})
        return code, task

    def _take(self, line: dict, task: tuple[int, str, bool] | None) -> tuple[int, str, bool] | None:
        """Keep a child's line; returns the task that is running."""
        if line["kind"] == "begin":
            return line["task"], line["name"], False
        self._keep(line)
        if line["kind"] == "failure":
            self._say(f"       FAILED {line['name']}: {line['message']}")
            return task and (*task[:2], True)
        if line["kind"] == "check" and not line["passed"]:
            size = f"error {line['error']:.1e}, limit {line['limit']:.0e}"
            self._say(f"       FAILED {line['name']}: {size}")
        if line["kind"] == "speed":
            self._say(f"       {line['name']}: {1e6 * line['seconds']:,.1f} us")
        if line["kind"] == "torch":
            way, seconds = min(line["ways"].items(), key=lambda item: item[1])
            self._say(f"       {line['name']}: {1e6 * seconds:,.1f} us, {way}")
        return task

    def _keep(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self._store(line)

    def _note(self, part: Part, kind: str, name: str, message: str) -> None:
        self._keep({"part": part.name, "kind": kind, "name": name, "message": message})
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
