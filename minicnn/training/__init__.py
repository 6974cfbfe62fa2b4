"""Training: `fit`, and the parts it is made of."""

from .callbacks import Callback, CSVLog, EarlyStopping, TensorBoardLog
from .history import History
from .losses import AuxiliaryLoss, MAPLoss, SoftmaxCrossEntropy, softmax_cross_entropy
from .metrics import Evaluation, evaluate
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from .recipe import Recipe
from .schedules import (
    Constant,
    Cosine,
    Exponential,
    Inverse,
    MultiStep,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
    Table,
    WarmUp,
)
from .trainer import Trainer, fit

__all__ = [
    "SGD",
    "Adam",
    "AuxiliaryLoss",
    "AdamW",
    "CSVLog",
    "Callback",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Evaluation",
    "Exponential",
    "History",
    "Inverse",
    "MAPLoss",
    "MultiStep",
    "OneCycle",
    "Optimizer",
    "Polynomial",
    "RMSProp",
    "Recipe",
    "ReduceOnPlateau",
    "Schedule",
    "SoftmaxCrossEntropy",
    "Step",
    "Table",
    "TensorBoardLog",
    "Trainer",
    "WarmUp",
    "evaluate",
    "fit",
    "softmax_cross_entropy",
]
