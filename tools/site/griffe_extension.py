"""What griffe calls, which reads the sources for the API reference: docstrings as Markdown."""

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.site.docstrings import as_markdown


class Docstrings(griffe.Extension):
    """Changes the docstring of every object."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Called for each object when its file has been read."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
