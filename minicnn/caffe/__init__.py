"""Networks of Caffe (Jia et al. 2014), read and written without Caffe."""

from .load import from_caffe
from .preprocessing import read_mean
from .save import to_caffe

__all__ = ["from_caffe", "read_mean", "to_caffe"]
