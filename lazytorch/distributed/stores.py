"""Stores: where processes leave small values under names, to find each other by."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

DEFAULT_TIMEOUT = timedelta(minutes=30)
_POLL_SECONDS = 0.01
_LENGTH = struct.Struct(">I")
_SET, _GET, _ADD = b"s", b"g", b"a"


class Store:
    """Values, bytes, under names. ``get`` waits until there is one; RuntimeError after
    ``timeout``."""

    timeout = DEFAULT_TIMEOUT

    def set(self, key: str, value: str | bytes) -> None:
        raise NotImplementedError

    def _look(self, key: str) -> bytes | None:
        raise NotImplementedError

    def add(self, key: str, amount: int) -> int:
        """Add to a number, which begins at 0; what it is now."""
        raise NotImplementedError

    def get(self, key: str) -> bytes:
        deadline = time.monotonic() + self.timeout.total_seconds()
        while (found := self._look(key)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"wait timeout after {self.timeout}, keys: {key}")
            time.sleep(_POLL_SECONDS)
        return found

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until there are values under all of the names."""
        before = self.timeout
        self.timeout = timeout or before
        try:
            for key in keys:
                self.get(key)
        finally:
            self.timeout = before

    def close(self) -> None:
        """End it; what is left of it goes."""

    def set_timeout(self, timeout: timedelta) -> None:
        self.timeout = timeout

    def check(self, keys: Sequence[str]) -> bool:
        return all(self._look(key) is not None for key in keys)


class HashStore(Store):
    """A store for the threads of one process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def set(self, key: str, value: str | bytes) -> None:
        self._values[key] = value.encode() if isinstance(value, str) else value

    def _look(self, key: str) -> bytes | None:
        return self._values.get(key)

    def add(self, key: str, amount: int) -> int:
        with self._lock:
            total = int(self._values.get(key, b"0")) + amount
            self._values[key] = str(total).encode()
        return total


class FileStore(Store):
    """A store in a folder ``file_name``.d that all processes see: a file for each name."""

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        self.path = file_name
        self._folder = Path(f"{file_name}.d")
        self._folder.mkdir(parents=True, exist_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / key.encode().hex()

    def set(self, key: str, value: str | bytes) -> None:
        file = self._file(key)
        temporary = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_bytes(value.encode() if isinstance(value, str) else value)
        temporary.replace(file)

    def _look(self, key: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return self._file(key).read_bytes()
        return None

    def add(self, key: str, amount: int) -> int:
        lock = self._folder / "lock"
        deadline = time.monotonic() + self.timeout.total_seconds()
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{lock} stays locked: delete it") from None
                time.sleep(_POLL_SECONDS)
        try:
            total = int(self._look(key) or b"0") + amount
            self.set(key, str(total))
        finally:
            lock.unlink()
        return total

    def close(self) -> None:
        # The next processes that meet here must not find the addresses of these.
        shutil.rmtree(self._folder, ignore_errors=True)


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """``count`` bytes; ConnectionError where the other side has closed."""
    parts = bytearray()
    while len(parts) < count:
        piece = connection.recv(count - len(parts))
        if not piece:
            raise ConnectionError("the other process has closed its connection")
        parts += piece
    return bytes(parts)


def _send_parts(connection: socket.socket, *parts: bytes) -> None:
    connection.sendall(b"".join(_LENGTH.pack(len(part)) + part for part in parts))


def _receive_part(connection: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size))
    return receive_exactly(connection, length)


class TCPStore(Store):
    """A store that the process with ``is_master`` keeps, at a port of ``host_name``."""

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta = DEFAULT_TIMEOUT,
        wait_for_workers: bool = True,
    ) -> None:
        self.timeout, self.host = timeout, host_name
        self._listener: socket.socket | None = None
        if is_master:
            self._listener = socket.create_server((host_name, port), backlog=128)
            port = self._listener.getsockname()[1]
            self._values = HashStore()
            threading.Thread(target=self._accept, daemon=True).start()
        self.port = port
        self._lock = threading.Lock()
        self._connection = self._connected()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # Closed.
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while True:
                action, key, value = [_receive_part(connection) for _ in range(3)]
                name = key.decode()
                if action == _SET:
                    self._values.set(name, value)
                    _send_parts(connection, b"")
                elif action == _ADD:
                    _send_parts(connection, str(self._values.add(name, int(value))).encode())
                else:
                    found = self._values._look(name)
                    _send_parts(connection, b"" if found is None else b"+" + found)

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + self.timeout.total_seconds()
        while True:
            try:
                return socket.create_connection((self.host, self.port), timeout=5)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"no process keeps a store at {self.host}:{self.port}: {error}"
                    ) from error
                time.sleep(_POLL_SECONDS)

    def _ask(self, action: bytes, key: str, value: bytes) -> bytes:
        with self._lock:
            _send_parts(self._connection, action, key.encode(), value)
            return _receive_part(self._connection)

    def set(self, key: str, value: str | bytes) -> None:
        self._ask(_SET, key, value.encode() if isinstance(value, str) else value)

    def _look(self, key: str) -> bytes | None:
        found = self._ask(_GET, key, b"")
        return found[1:] if found else None

    def add(self, key: str, amount: int) -> int:
        return int(self._ask(_ADD, key, str(amount).encode()))

    @property
    def own_address(self) -> str:
        """This machine's address, as the store's machine sees it."""
        return str(self._connection.getsockname()[0])

    def close(self) -> None:
        self._connection.close()
        if self._listener is not None:
            self._listener.close()


class PrefixStore(Store):
    """Another store, with something before all names."""

    def __init__(self, prefix: str, store: Store) -> None:
        self._prefix, self._store, self.timeout = prefix, store, store.timeout

    def set(self, key: str, value: str | bytes) -> None:
        self._store.set(f"{self._prefix}/{key}", value)

    def _look(self, key: str) -> bytes | None:
        return self._store._look(f"{self._prefix}/{key}")

    def add(self, key: str, amount: int) -> int:
        return self._store.add(f"{self._prefix}/{key}", amount)
