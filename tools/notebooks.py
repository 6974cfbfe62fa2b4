"""Writes the notebooks of the course: `python -m tools.notebooks`, in the root of the source tree.

The scripts in examples/ are in jupytext's percent format: `# %%` begins a cell. A test keeps the
notebooks in examples/notebooks/ equal to what this makes of them.
"""

import re
from pathlib import Path

import jupytext
import nbformat

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = EXAMPLES / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook(script: Path) -> str:
    """The script as a notebook without outputs; the first line of its docstring is the heading."""
    found = jupytext.read(script)
    found.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    first = found.cells[0]
    text = re.sub(r"^(Change|Then):", r"**\1**:", first.source, flags=re.MULTILINE)
    first.source = "# " + text.replace("\n**Then**", "\n\n**Then**")
    for number, cell in enumerate(found.cells, 1):
        cell.id, cell.metadata = f"cell-{number}", {}
    return nbformat.writes(found) + "\n"


def main() -> None:
    """Write one notebook per script."""
    NOTEBOOKS.mkdir(exist_ok=True)
    for script in sorted(EXAMPLES.glob("[0-9]*.py")):
        path = NOTEBOOKS / f"{script.stem}.ipynb"
        path.write_text(notebook(script), encoding="utf-8")


if __name__ == "__main__":
    main()
