"""What matters to a network: maps of an image, patches that activate a unit, its mistakes.

Every function takes a network as it is, changes nothing in it, and returns arrays or records.
`figures` draws them; `minicnn look` is the same on the command line.
"""

from .fields import receptive_fields
from .grad_cam import grad_cam, last_maps
from .gradients import deconvnet, guided_backprop, saliency
from .mistakes import Mistake, Mistakes, mistakes
from .occlusion import occluded_probabilities, occlusion
from .patches import (
    Patch,
    UnitActivation,
    top_patches,
    top_patches_of_units,
    unit_activations,
    unit_count,
)
from .target import Class, Scored, Unit, scored

__all__ = [
    "Class",
    "Mistake",
    "Mistakes",
    "Patch",
    "Scored",
    "Unit",
    "UnitActivation",
    "deconvnet",
    "grad_cam",
    "guided_backprop",
    "last_maps",
    "mistakes",
    "occluded_probabilities",
    "occlusion",
    "receptive_fields",
    "saliency",
    "scored",
    "top_patches",
    "top_patches_of_units",
    "unit_activations",
    "unit_count",
]
