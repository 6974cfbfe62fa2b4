"""The command line: `minicnn train`, `evaluate`, `predict`, `summary`, `models`, ... (`minicnn -h`).

`app.py` holds the application, its shared options and the handling of errors. Every other file holds
a few commands, which register themselves when they are imported.
"""

from . import evaluate, inspect, study, train
from .app import app, main

__all__ = ["app", "evaluate", "inspect", "main", "study", "train"]
