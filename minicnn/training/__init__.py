"""Training: `fit`, and its parts."""

from .averaging import EMA, Average, Lookahead
from .callbacks import (
    Callback,
    CSVLog,
    EarlyStopping,
    LogLines,
    ProgressBar,
    RestoreBest,
    TensorBoardLog,
)
from .config_file import SaveConfiguration
from .fitting import fit
from .gradients import ClipNorm, ClipValue
from .history import History
from .losses import (
    AuxiliaryLoss,
    BinaryCrossEntropy,
    Loss,
    MAPLoss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    balanced_weights,
    softmax_cross_entropy,
)
from .lr_finder import RateSweep, find_lr
from .metrics import Evaluation, evaluate, preprocess_of
from .muon import Muon
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from .phases import Freeze, ScaleRate, SwitchAugment
from .recipe import Recipe
from .schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTimeDecay,
    MultiStep,
    OneCycle,
    PiecewiseConstant,
    PiecewiseLinear,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmUp,
)
from .trainer import Trainer

__all__ = [
    "EMA",
    "SGD",
    "Adam",
    "AdamW",
    "AuxiliaryLoss",
    "Average",
    "BinaryCrossEntropy",
    "CSVLog",
    "Callback",
    "ClipNorm",
    "ClipValue",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Evaluation",
    "Exponential",
    "Freeze",
    "History",
    "InverseTimeDecay",
    "LogLines",
    "Lookahead",
    "Loss",
    "MAPLoss",
    "MeanSquaredError",
    "MultiStep",
    "Muon",
    "OneCycle",
    "Optimizer",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "Polynomial",
    "ProgressBar",
    "RMSProp",
    "RateSweep",
    "Recipe",
    "ReduceOnPlateau",
    "RestoreBest",
    "SaveConfiguration",
    "ScaleRate",
    "Schedule",
    "SoftmaxCrossEntropy",
    "StepDecay",
    "SwitchAugment",
    "TensorBoardLog",
    "Trainer",
    "WarmUp",
    "balanced_weights",
    "evaluate",
    "find_lr",
    "fit",
    "preprocess_of",
    "softmax_cross_entropy",
]
