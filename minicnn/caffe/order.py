"""The order of channels: Caffe's images are BGR and its maps are flattened channel by channel.

Ours are RGB, and flattened pixel by pixel. The weights that read an array are permuted so that it
never has to be.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """Consecutive channels of an array, or maps of `height` x `width` that were flattened.

    runs: (length, is_flipped) of consecutive channels; of flipped ones our first is Caffe's last.
    """

    runs: tuple[tuple[int, bool], ...]
    height: int = 1
    width: int = 1

    @property
    def channels(self) -> int:
        """The number of channels."""
        return sum(length for length, _ in self.runs)

    @property
    def size(self) -> int:
        """The number of values per pixel, or of the flattened maps."""
        return self.channels * self.height * self.width

    @property
    def is_plain(self) -> bool:
        """True if both orders are the same."""
        is_flipped = any(flipped and length > 1 for length, flipped in self.runs)
        return not is_flipped and (self.channels == 1 or self.height * self.width == 1)


Order = tuple[Piece, ...]


def channels(count: int, flipped: bool = False) -> Order:
    """The order of that many channels."""
    return (Piece(((count, flipped),)),)


def is_plain(order: Order) -> bool:
    """True if Caffe has the array in our order."""
    return all(piece.is_plain for piece in order)


def flattened(order: Order, height: int, width: int) -> Order:
    """The order of maps of that size after they were flattened."""
    return (Piece(tuple(run for piece in order for run in piece.runs), height, width),)


def index(order: Order) -> np.ndarray:
    """For each of our channels or features, in our order, its number in Caffe's order."""
    found, start = [], 0
    for piece in order:
        shape = piece.channels, piece.height, piece.width
        numbers = np.arange(start, start + piece.size).reshape(shape)
        found.append(numbers[_channel_index(piece)].transpose(1, 2, 0).ravel())
        start += piece.size
    return np.concatenate(found)


def _channel_index(piece: Piece) -> np.ndarray:
    found, start = [], 0
    for length, flipped in piece.runs:
        numbers = np.arange(start, start + length)
        found.append(numbers[::-1] if flipped else numbers)
        start += length
    return np.concatenate(found)


def cut(order: Order, start: int, stop: int) -> tuple[Order, tuple[int, int]]:
    """The order of Caffe's channels from `start` up to `stop`, and where they are here.

    Raises ValueError if they are not consecutive here.
    """
    runs, position, here = [], 0, []
    for piece in order:
        if piece.height * piece.width > 1 and piece.channels > 1:
            raise ValueError("it cuts maps that were flattened")
        for length, flipped in piece.runs:
            length *= piece.height * piece.width
            low, high = max(start, position) - position, min(stop, position + length) - position
            if low < high:
                runs.append((high - low, flipped))
                ends = (length - high, length - low) if flipped else (low, high)
                here += [position + end for end in ends]
            position += length
    if any(a != b for a, b in zip(here[1:-1:2], here[2::2], strict=True)):
        raise ValueError("it cuts channels that are in another order here")
    return (Piece(tuple(runs)),), (here[0], here[-1])
