"""Transports: bytes from one process to another, over sockets or over MPI."""

from __future__ import annotations

import contextlib
import importlib
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Protocol

import numpy as np

from lazytorch.distributed.stores import Store, TCPStore, receive_exactly

Bytes = Any  # A contiguous array of bytes.


class Transport(Protocol):
    """Moves bytes between ranks; what one sends to another arrives in order."""

    rank: int
    size: int

    def send(self, to: int, data: Bytes) -> None: ...

    def receive(self, source: int, into: Bytes) -> None: ...

    def exchange(self, to: int, data: Bytes, source: int, into: Bytes) -> None:
        """Send and receive at once, so that a ring of ranks does not wait for itself."""

    def close(self) -> None: ...


class SocketTransport:
    """A connection between any two processes, which found each other through a store."""

    def __init__(self, store: Store, rank: int, size: int, timeout: timedelta) -> None:
        self.rank, self.size = rank, size
        self._connections: dict[int, socket.socket] = {}
        self._sender = ThreadPoolExecutor(1)
        seconds = timeout.total_seconds()
        host = store.own_address if isinstance(store, TCPStore) else "127.0.0.1"
        with socket.create_server((host, 0), backlog=size) as listener:
            listener.settimeout(seconds)
            store.set(f"address/{rank}", f"{host} {listener.getsockname()[1]}")
            for other in range(rank):
                address, port = store.get(f"address/{other}").decode().split()
                connection = socket.create_connection((address, int(port)), timeout=seconds)
                connection.sendall(rank.to_bytes(4, "big"))
                self._keep(other, connection, seconds)
            for _ in range(size - rank - 1):
                connection, _ = listener.accept()
                connection.settimeout(seconds)
                other = int.from_bytes(receive_exactly(connection, 4), "big")
                self._keep(other, connection, seconds)

    def _keep(self, other: int, connection: socket.socket, seconds: float) -> None:
        connection.settimeout(seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[other] = connection

    def send(self, to: int, data: Bytes) -> None:
        try:
            self._connections[to].sendall(data)
        except OSError as error:
            raise RuntimeError(f"rank {self.rank} cannot send to rank {to}: {error}") from error

    def receive(self, source: int, into: Bytes) -> None:
        view = memoryview(into)
        while view:
            try:
                count = self._connections[source].recv_into(view)
            except OSError as error:
                raise RuntimeError(
                    f"rank {self.rank} hears nothing from rank {source}: {error}"
                ) from error
            if not count:
                raise RuntimeError(f"rank {source} has closed its connection: it may have died")
            view = view[count:]

    def exchange(self, to: int, data: Bytes, source: int, into: Bytes) -> None:
        sending = self._sender.submit(self.send, to, data)
        self.receive(source, into)
        sending.result()

    def close(self) -> None:
        self._sender.shutdown()
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class MpiTransport:
    """The processes that mpirun has started, through mpi4py."""

    def __init__(self) -> None:
        try:
            mpi = importlib.import_module("mpi4py.MPI")
        except ImportError as error:
            raise RuntimeError(
                "The backend mpi needs mpi4py, and an MPI library: pip install mpi4py"
            ) from error
        self._world = mpi.COMM_WORLD.Dup()
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()

    def send(self, to: int, data: Bytes) -> None:
        self._world.Send(np.frombuffer(data, np.uint8), to)

    def receive(self, source: int, into: Bytes) -> None:
        self._world.Recv(into, source)

    def exchange(self, to: int, data: Bytes, source: int, into: Bytes) -> None:
        outgoing = np.frombuffer(data, np.uint8)
        self._world.Sendrecv(outgoing, to, recvbuf=into, source=source)

    def close(self) -> None:
        self._world.Free()
