"""The command line: `minicnn train`, `evaluate`, `predict`, `summary`, ... (see `minicnn -h`).

`app.py` has the application, its shared options and the handling of errors. The other files have
the commands, which register themselves when they are imported.
"""

from . import (
    ablate,
    check,
    compare,
    convert,
    course,
    data,
    evaluate,
    explain,
    explore,
    export,
    forecast,
    graph,
    inspect,
    look,
    look_data,
    lr_find,
    predict,
    profile,
    study,
    train,
    vectors,
)
from .app import app, main

__all__ = [
    "ablate",
    "app",
    "check",
    "compare",
    "convert",
    "course",
    "data",
    "evaluate",
    "explain",
    "explore",
    "export",
    "forecast",
    "graph",
    "inspect",
    "look",
    "look_data",
    "lr_find",
    "main",
    "predict",
    "profile",
    "study",
    "train",
    "vectors",
]
