"""A network's table of layers, without drawing its weights."""

from minicnn import models
from minicnn.layers.init import skip_init
from minicnn.study import summarize


def table(name, **options):
    with skip_init():
        return summarize(models.create(name, **options))


def sizes(name, **options):
    """The output shape of every layer, by its name."""
    return {row.name: row.output for row in table(name, **options).rows}
