"""The API reference: a page per package, made from its docstrings by mkdocstrings."""

# What a user imports, with its name in the menu.
PAGES = {
    "minicnn": "minicnn",
    "minicnn.layers": "layers",
    "minicnn.training": "training",
    "minicnn.data": "data",
    "minicnn.data.augment": "augment",
    "minicnn.models": "models",
    "minicnn.weights": "weights",
    "minicnn.onnx": "onnx",
    "minicnn.evaluation": "evaluation",
    "minicnn.study": "study",
    "minicnn.kernels.functional": "functional",
}


def page(module: str) -> str:
    """The page of a module: its docstring, and everything that it offers."""
    lines = [f"# {module}", "", f"::: {module}", "    options:", "      show_root_heading: false"]
    return "\n".join([*lines, "      show_submodules: false"]) + "\n"


def page_place(module: str) -> str:
    """Where the page of a module is in the site."""
    return f"api/{module}.md"


def index() -> str:
    """The list of the modules."""
    items = [f"- [`{module}`]({module}.md)" for module in PAGES]
    return "# API reference\n\n" + "\n".join(items) + "\n"
