"""Where the packages are: a folder per storey, published results, the course and the documents.

All metadata: pyproject.toml. The links minicnn/kernels, minicnn/models and so on are for
tools that read the tree; the build does not need them, and leaves them out where they exist.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "minicnn": "minicnn",
    "minicnn.kernels": "kernels",
    "minicnn.models": "models",
    "minicnn.results": "results",
    "minicnn.examples": "examples",
    "minicnn.docs": "docs",
}
LINKS = [pattern for name in FOLDERS for pattern in (name[8:], f"{name[8:]}.*") if name[8:]]

setup(
    packages=[
        package
        for name, folder in FOLDERS.items()
        for package in (name, *(f"{name}.{p}" for p in find_packages(folder, exclude=LINKS)))
    ],
    package_dir=FOLDERS,
    package_data={
        "": [
            *("py.typed", "*.npz", "*.tsv", "*.cu", "*.cuh", "*.toml", "*.json", "*.md", "*.ipynb"),
            "static/*",
        ]
    },
)
