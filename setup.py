"""Where the packages are: three top-level folders, one per storey, and that of published results.

All metadata: pyproject.toml. The links minicnn/kernels, minicnn/models and minicnn/results are for
tools that read the tree; the build does not need them, and leaves them out where they exist.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "minicnn": "minicnn",
    "minicnn.kernels": "kernels",
    "minicnn.models": "models",
    "minicnn.results": "results",
}
LINKS = [pattern for name in ("kernels", "models", "results") for pattern in (name, f"{name}.*")]

setup(
    packages=[
        package
        for name, folder in FOLDERS.items()
        for package in (name, *(f"{name}.{p}" for p in find_packages(folder, exclude=LINKS)))
    ],
    package_dir=FOLDERS,
    package_data={
        "": ["py.typed", "*.npz", "*.tsv", "*.cu", "*.cuh", "*.toml", "*.json", "static/*"]
    },
)
