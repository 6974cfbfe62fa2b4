"""Training while the page watches: steps of SGD in a thread that can be paused."""

import threading
import time
from typing import Any

import numpy as np

from ...data.loader import Loader
from ...device import model_device, to_input
from ...errors import MinicnnError
from ...kernels.dispatch import use
from ...kernels.thread_state import inheriting
from ...training import SGD, metrics
from ...training.losses import plain
from .session import Session

KEPT = 5000  # points of the curve
SLOWEST = 0.01  # steps per second


class Training:
    """Steps on the training set of the session's gallery, one batch after the other.

    points: the last ones of the curve, `[step, loss, accuracy of the batch]`. The steps are counted
        by the session.
    """

    def __init__(self, session: Session):
        self.session = session
        self.points: list[list[float]] = []
        self.error = ""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._epoch = 0

    @property
    def is_running(self) -> bool:
        """True between `start` and `pause`."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, lr: float, batch: int, momentum: float = 0.9, speed: float = 0.0) -> None:
        """Go on training. speed: at most so many steps per second; 0 for no limit.

        Raises ValueError for settings that mean nothing, or without a training set.
        """
        train = self.session.gallery.sets.get("train")
        if train is None or train.labels.ndim != 1:
            raise ValueError(
                "training needs a data set with one class per image: start minicnn explore with "
                "--data"
            )
        if batch < 1:
            raise ValueError(f"batch={batch}: expected at least 1 image per step")
        if speed != 0 and not speed >= SLOWEST:
            raise ValueError(
                f"speed={speed:g}: expected at least {SLOWEST} steps per second, or 0 for no limit"
            )
        optimizer = SGD(self.session.model.parameters(), lr=lr, momentum=momentum)
        self.pause()
        self.session.keep()
        self._stop.clear()
        self.error = ""
        loader = Loader(
            train, min(batch, len(train)), self.session.gallery.preprocess, shuffle=True
        )
        self._thread = threading.Thread(
            target=inheriting(self._run), args=(optimizer, loader, speed), daemon=True
        )
        self._thread.start()

    def pause(self) -> None:
        """Stop after the current step."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def forget(self) -> None:
        """Clear the curve."""
        self.points = []

    def progress(self, since: int) -> dict[str, Any]:
        """The points of the curve after the step `since`, and the step of the last one."""
        points = list(self.points)  # the thread goes on
        return {
            "running": self.is_running,
            "points": [point for point in points if point[0] > since],
            "last": points[-1][0] if points else 0,
            "error": self.error,
            "version": self.session.version,
        }

    def _run(self, optimizer: SGD, loader: Loader, speed: float) -> None:
        with use(self.session.backend):
            try:
                self._train(optimizer, loader, speed)
            except (MinicnnError, ValueError) as error:
                self.error = str(error)
        with self.session.lock:
            self.session.retrace()

    def _train(self, optimizer: SGD, loader: Loader, speed: float) -> None:
        shown = time.perf_counter()
        while not self._stop.is_set():
            for x, labels in loader:
                begun = time.perf_counter()
                with self.session.lock:
                    self._step(optimizer, x, labels)
                    if begun - shown > 0.4:  # the page shows each pass for a moment
                        self.session.retrace()
                        shown = begun
                if speed:
                    self._stop.wait(max(0.0, 1 / speed - (time.perf_counter() - begun)))
                else:
                    time.sleep(0)  # the server's threads may take the lock
                if self._stop.is_set():
                    return

    def _step(self, optimizer: SGD, x: np.ndarray, labels: np.ndarray) -> None:
        model = self.session.model
        loss = plain(metrics.loss_of(model))
        heads = getattr(model, "heads", None)
        model.train(not heads)  # without auxiliary classifiers
        try:
            outputs = model(to_input(x, model_device(model)))
            value, gradient = loss(outputs, labels)
            if not np.isfinite(float(value)):
                raise ValueError(
                    f"the loss is {float(value)} at a learning rate of {optimizer.lr:g}: restore "
                    "the weights, and take a smaller one"
                )
            optimizer.zero_grad()
            model.backpropagate(gradient, need_dx=False)
            optimizer.step()
            optimizer.zero_grad()
        finally:
            model.eval()
        hits = metrics.right_answers(loss, outputs, labels) / len(labels)
        self.session.steps += 1
        self.points.append([self.session.steps, float(value), hits])
        del self.points[:-KEPT]
