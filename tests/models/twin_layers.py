"""Layers that the twins in torch share."""

import torch
import torch.nn.functional as F
from torch import nn


class FixedDropout(nn.Module):
    """Dropout with given masks, `(N, ...)` in torch's layout, one per call; None: torch's own."""

    def __init__(self, p, masks):
        super().__init__()
        self.p, self.masks = p, masks

    def forward(self, x):
        if self.masks is None:
            return F.dropout(x, self.p, self.training)
        return x * self.masks.pop(0).to(x.dtype) / (1 - self.p) if self.training else x


class Fork(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)
