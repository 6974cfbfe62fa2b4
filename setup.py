"""Where the packages are: three top-level folders, one per storey. All metadata: pyproject.toml.

The links minicnn/kernels and minicnn/models are for tools that read the tree; the build does not
need them, and leaves them out where they exist.
"""

from setuptools import find_packages, setup

STOREYS = {"minicnn": "minicnn", "minicnn.kernels": "kernels", "minicnn.models": "models"}
LINKS = ("kernels", "kernels.*", "models", "models.*")

setup(
    packages=[
        package
        for name, folder in STOREYS.items()
        for package in (name, *(f"{name}.{p}" for p in find_packages(folder, exclude=LINKS)))
    ],
    package_dir=STOREYS,
    package_data={"": ["py.typed", "*.npz", "*.tsv", "*.cu", "*.cuh", "*.toml"]},
)
