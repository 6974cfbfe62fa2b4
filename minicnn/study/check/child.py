"""The process in which a student's file runs: a line of JSON for each check on its output.

    python -m minicnn.study.check.child < request.json

The request has "path", "seed", "layout", "timeout" (seconds per check), "trace" (a file for the
traceback of a check that takes longer) and "skip" (names that are done).
"""

import faulthandler
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import DataError
from .find import find_subjects, load_module
from .own_layers import OwnLayer
from .run import safely


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the file prints is not an answer

    def say(**message: Any) -> None:
        answer.write(json.dumps(message) + "\n")
        answer.flush()

    say(ready=True)
    path = Path(request["path"]).resolve()
    with open(request["trace"], "w") as trace, ExitStack() as ends:
        ends.callback(faulthandler.cancel_dump_traceback_later)  # before the file is closed
        faulthandler.dump_traceback_later(request["timeout"], exit=True, file=trace)
        try:
            module, remarks = load_module(path)
        except DataError as error:
            say(error=str(error))
            return
        subjects, left_out = find_subjects(module, path)
        names = [(s.name, "" if isinstance(s, OwnLayer) else s.operation.name) for s in subjects]
        say(found=names, remarks=[*remarks, *left_out])
        for subject in subjects:
            if subject.name in request["skip"]:
                continue
            say(start=subject.name)
            faulthandler.dump_traceback_later(request["timeout"], exit=True, file=trace)
            check = safely(subject, request["seed"], request["layout"])
            faulthandler.cancel_dump_traceback_later()
            say(check=asdict(check))
        say(end=True)


if __name__ == "__main__":
    main()
