"""The packages live in three top-level folders, one a storey; see README.md."""

from pathlib import Path

from setuptools import find_packages, setup

STOREYS = {"minicnn": "minicnn", "minicnn.kernels": "kernels", "minicnn.models": "models"}
LINKS = (
    "kernels",
    "kernels.*",
    "models",
    "models.*",
)  # minicnn/kernels -> ../kernels, for tools that read the tree

setup(
    name="minicnn",
    version="0.1.0",
    description="Convolutional networks with every layer written out by hand, forward and backward",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[
        package
        for name, folder in STOREYS.items()
        for package in (name, *(f"{name}.{p}" for p in find_packages(folder, exclude=LINKS)))
    ],
    package_dir=STOREYS,
    package_data={
        "minicnn": ["py.typed"],
        "minicnn.data": ["digits.npz"],
        "minicnn.kernels.cuda": ["*.cu", "*.cuh"],
    },
    install_requires=[
        "numba>=0.66,<1",
        "numpy>=1.26,<3",
        "pillow>=10,<14",
        "matplotlib>=3.8,<4",
        "platformdirs>=4,<5",
        "rich>=13,<16",
        "safetensors>=0.4.3,<1",
        "typer>=0.12,<1",
    ],
    extras_require={
        "gpu13": [
            "cupy-cuda13x>=14.2,<15",
            "nvidia-cuda-nvrtc>=13,<14",
            "numba-cuda[cu13]>=0.30,<0.31",
        ],
        "gpu12": [
            "cupy-cuda12x>=14.2,<15",
            "nvidia-cuda-nvrtc-cu12>=12,<13",
            "numba-cuda[cu12]>=0.30,<0.31",
        ],
        "tensorboard": ["tensorboardX>=2.6.2,<3"],
        "test": [
            "torch==2.13.0",
            "ml_dtypes>=0.4,<1",
            "hypothesis>=6.100,<7",
            "mypy>=1.11,<3",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.17,<0.18",
            "tensorboardX>=2.6.2,<3",
        ],
    },
    entry_points={"console_scripts": ["minicnn = minicnn.cli:main"]},
)
