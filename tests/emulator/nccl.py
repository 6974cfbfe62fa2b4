"""A stand-in for CuPy's streams, events and NCCL, which refuses what would go wrong on a device.

It runs at once what is launched, and counts what each stream has launched and what it has waited
for. MPI carries the bytes.
"""

import ctypes
from types import SimpleNamespace

import numpy as np

UPDATES = ("sgd", "adam", "rmsprop")  # the kernels that read the sums of gradients
BYTES = {7: 4, 8: 8}  # of ncclFloat32 and ncclFloat64


class Stream:
    """launched: how much work; seen: how much of that of other streams it waits for."""

    def __init__(self, owner, non_blocking=False):
        self.owner, self.ptr = owner, 1 + len(owner.streams)
        self.launched, self.seen = 0, {}
        owner.streams.append(self)

    def record(self):
        return self.seen | {self.ptr: self.launched}

    def wait_event(self, event):
        self.seen |= {ptr: max(n, self.seen.get(ptr, 0)) for ptr, n in event.items()}

    def check(self, what):
        """Raise RuntimeError unless it waits for all that other streams have launched."""
        for other in self.owner.streams:
            if other is not self and self.seen.get(other.ptr, 0) < other.launched:
                raise RuntimeError(f"{what} on stream {self.ptr} races with stream {other.ptr}")

    def __enter__(self):
        self.owner.stack.append(self)

    def __exit__(self, *error):
        self.owner.stack.pop()


class StandIn:
    """What of CuPy a device has beside kernels. communicator: of mpi4py; None for one rank."""

    def __init__(self, run, communicator):
        self.run, self.communicator = run, communicator
        self.streams: list[Stream] = []
        self.stack = [Stream(self)]
        self.group: list[tuple] | None = None
        nccl = SimpleNamespace(
            available=True,
            NCCL_FLOAT32=7,
            NCCL_FLOAT64=8,
            get_unique_id=lambda: tuple(range(128)),
            NcclCommunicator=lambda size, identity, rank: Communicator(self, size, identity, rank),
            groupStart=self.start,
            groupEnd=self.end,
        )
        self.cuda = SimpleNamespace(
            Stream=lambda **options: Stream(self, **options),
            get_current_stream=lambda: self.stack[-1],
            nccl=nccl,
        )

    def launched(self, name):
        """Note a kernel on the current stream."""
        if name in UPDATES:
            self.stack[-1].check(name)
        self.stack[-1].launched += 1

    def start(self):
        self.group = []

    def end(self):
        """Exchange what the group has sent: each message must meet one of its size."""
        group, self.group = self.group, None
        sent = [(peer, data) for what, peer, data in group if what == "send"]
        to_fill = [(peer, data) for what, peer, data in group if what == "recv"]
        if self.communicator is None:
            arrived = [data.copy() for _, data in sent]
        else:
            by_rank = dict(sent)
            parts = [by_rank[rank].tobytes() for rank in range(self.communicator.size)]
            every = self.communicator.alltoall(parts)
            arrived = [np.frombuffer(every[peer], np.uint8) for peer, _ in to_fill]
        for (_, data), found in zip(to_fill, arrived, strict=True):
            if len(found) != len(data):
                raise RuntimeError(f"NCCL: {len(found)} bytes are sent, and {len(data)} awaited")
            data[...] = found


class Communicator:
    """NCCL's, of which all ranks call the same methods."""

    def __init__(self, owner, size, identity, rank):
        assert len(identity) == 128 and 0 <= rank < size
        self.owner, self.size = owner, size

    def send(self, address, count, kind, peer, stream):
        data = self._data(address, count, kind, stream, "ncclSend")
        self.owner.group.append(("send", peer, data))

    def recv(self, address, count, kind, peer, stream):
        data = self._data(address, count, kind, stream, "ncclRecv")
        self.owner.group.append(("recv", peer, data))

    def allGather(self, part, whole, count, kind, stream):
        data = self._data(part, count, kind, stream, "ncclAllGather")
        out = self._data(whole, count * self.size, kind, stream, "ncclAllGather")
        world = self.owner.communicator
        every = world.allgather(data.tobytes()) if world else [data.tobytes()]
        if {len(found) for found in every} != {len(data)}:
            raise RuntimeError("NCCL: ranks gather unequal counts")
        out[...] = np.frombuffer(b"".join(every), np.uint8)

    def _data(self, address, count, kind, ptr, what):
        """The bytes at an address. Raises RuntimeError for what a device refuses."""
        if self.owner.run._recorded is not None:
            raise RuntimeError(f"{what} within a captured graph")
        if kind not in BYTES:
            raise RuntimeError(f"{what}: the type {kind} is no ncclDataType_t that is used here")
        if what != "ncclAllGather" and self.owner.group is None:
            raise RuntimeError(f"{what} outside of a group waits for ever")
        stream = next((s for s in self.owner.streams if s.ptr == ptr), None)
        if stream is None or stream is not self.owner.stack[-1]:
            raise RuntimeError(f"{what} on stream {ptr}, which is not the current one")
        stream.check(what)
        stream.launched += 1
        self.owner.run.launches.append(what)
        return np.frombuffer(
            (ctypes.c_uint8 * (count * BYTES[kind])).from_address(address), np.uint8
        )
