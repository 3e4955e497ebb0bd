"""Groups of processes: how they are made, asked about, and ended."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np

from codegen import settings
from lazytorch.distributed.collective_algorithms import Ranks, ReduceOp, all_reduce
from lazytorch.distributed.stores import (
    DEFAULT_TIMEOUT,
    FileStore,
    PrefixStore,
    Store,
    TCPStore,
)
from lazytorch.distributed.transports import MpiTransport, SocketTransport, Transport


class Backend(str):
    """The name of a way to talk."""

    GLOO = "gloo"
    MPI = "mpi"
    NCCL = "nccl"
    UNDEFINED = "undefined"


class ProcessGroup(Ranks):
    """Processes that compute together; ``rank`` is this one's number, -1 outside of the group."""

    def __init__(self, transport: Transport, ranks: Sequence[int], backend: str) -> None:
        super().__init__(transport, ranks)
        self.backend = backend

    def name(self) -> str:
        return self.backend


class GroupMember:
    NON_GROUP_MEMBER = -100


class _World:
    """The default group, and the store that it met through."""

    group: ProcessGroup | None = None
    store: Store | None = None


class _GroupNames:
    """``dist.group.WORLD`` is the default group."""

    @property
    def WORLD(self) -> ProcessGroup | None:
        return _World.group


group = _GroupNames()
_numbers = itertools.count()


def is_available() -> bool:
    return True


def is_gloo_available() -> bool:
    return True


def is_nccl_available() -> bool:
    return False


def is_mpi_available() -> bool:
    return find_spec("mpi4py") is not None


def is_initialized() -> bool:
    return _World.group is not None


def is_torchelastic_launched() -> bool:
    return settings.launched_with("TORCHELASTIC_RUN_ID") is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Meet the other processes; every one of them calls this.

    ``init_method`` is ``env://`` (the default: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are
    in the environment, as torchrun sets them), ``tcp://host:port`` of rank 0, or ``file:///path``
    that all see; or a ``store`` is given. The backend is gloo (sockets) or mpi, which is chosen
    under mpirun. ValueError where something is missing, RuntimeError where the others do not come
    within ``timeout``.

    ``torch.distributed.init_process_group("gloo")`` in every process that a launcher started.
    """
    if _World.group is not None:
        raise ValueError("trying to initialize the default process group twice!")
    name = _backend_name(backend)
    patience = timeout or DEFAULT_TIMEOUT
    transport: Transport
    if name == "mpi":
        transport = MpiTransport()
    else:
        if store is None:
            store, rank, world_size = _meeting_place(
                init_method or "env://", rank, world_size, patience
            )
        elif rank < 0 or world_size < 1:
            raise ValueError("rank and world_size are needed where a store is given")
        _World.store = store
        inner = PrefixStore(f"default{next(_numbers)}", store)
        if isinstance(store, TCPStore):
            transport = SocketTransport(_Addressed(inner, store), rank, world_size, patience)
        else:
            transport = SocketTransport(inner, rank, world_size, patience)
    made = ProcessGroup(transport, range(transport.size), name)
    # Once all are here, none reads the store's addresses any more, and it may go.
    all_reduce(made, np.zeros(made.size, np.uint8), ReduceOp.MAX)
    _World.group = made


class _Addressed(TCPStore):
    """A store with a prefix that knows this machine's address."""

    def __init__(self, inner: Store, store: TCPStore) -> None:
        self._inner, self._tcp, self.timeout = inner, store, store.timeout

    def set(self, key: str, value: str | bytes) -> None:
        self._inner.set(key, value)

    def _look(self, key: str) -> bytes | None:
        return self._inner._look(key)

    @property
    def own_address(self) -> str:
        return self._tcp.own_address


def _backend_name(backend: str | None) -> str:
    if backend is None:
        under_mpi = settings.launched_with("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")
        alone = settings.launched_with("RANK") is None
        return "mpi" if under_mpi and alone and is_mpi_available() else "gloo"
    # "cpu:gloo,cuda:nccl" names one for each kind of device.
    names = [part.rpartition(":")[2].lower() for part in backend.split(",")]
    for name in names:
        if name in ("gloo", "mpi"):
            return name
    if "nccl" in names:
        raise RuntimeError(
            "Distributed package doesn't have NCCL built in: lazytorch's backends are gloo and mpi"
        )
    raise ValueError(f"Invalid backend: '{backend}'. lazytorch's backends are gloo and mpi")


def _meeting_place(method: str, rank: int, size: int, timeout: timedelta) -> tuple[Store, int, int]:
    """The store that a URL names, this process's rank, and how many there are."""
    url = urlparse(method)
    query = {key: int(values[0]) for key, values in parse_qs(url.query).items()}
    rank, size = query.get("rank", rank), query.get("world_size", size)
    if url.scheme == "env":
        rank = int(_needed("RANK")) if rank < 0 else rank
        size = int(_needed("WORLD_SIZE")) if size < 1 else size
        host, port = _needed("MASTER_ADDR"), int(_needed("MASTER_PORT"))
        return TCPStore(host, port, size, rank == 0, timeout), rank, size
    if rank < 0 or size < 1:
        missing = "rank" if rank < 0 else "world size"
        raise ValueError(
            f"Error initializing torch.distributed using {url.scheme}:// rendezvous: {missing} "
            "parameter missing"
        )
    if url.scheme == "tcp":
        if url.hostname is None or url.port is None:
            raise ValueError("tcp:// rendezvous: a host and a port are needed: tcp://host:port")
        return TCPStore(url.hostname, url.port, size, rank == 0, timeout), rank, size
    if url.scheme == "file":
        store = FileStore(url.path, size)
        store.set_timeout(timeout)
        return store, rank, size
    raise RuntimeError(f"No rendezvous handler for {url.scheme}://")


def _needed(name: str) -> str:
    found = settings.launched_with(name)
    if found is None:
        raise ValueError(
            "Error initializing torch.distributed using env:// rendezvous: environment variable "
            f"{name} expected, but not set"
        )
    return found


def default_group() -> ProcessGroup:
    if _World.group is None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )
    return _World.group


def chosen(among: ProcessGroup | None) -> ProcessGroup:
    """The group given, or the default one."""
    return default_group() if among is None else among


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """End a group, or with none given all of them."""
    world = default_group()
    if group is None or group is world:
        world.transport.close()
        # A folder is for all processes, and one deletes it; a connection is each one's own.
        if _World.store is not None and (world.rank == 0 or isinstance(_World.store, TCPStore)):
            _World.store.close()
        _World.group = _World.store = None


def new_group(
    ranks: Sequence[int] | None = None, timeout: Any = None, backend: str | None = None, **_: Any
) -> ProcessGroup:
    """A group of some of the ranks; every process calls this, also those outside of it."""
    world = default_group()
    chosen_ranks = range(world.size) if ranks is None else sorted(ranks)
    return ProcessGroup(world.transport, chosen_ranks, backend or world.backend)


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number in the group, -1 outside of it."""
    return chosen(group).rank


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes there are in the group, -1 outside of it."""
    found = chosen(group)
    return found.size if found.rank >= 0 else -1


def get_backend(group: ProcessGroup | None = None) -> str:
    return chosen(group).backend


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    return chosen(group).ranks


def get_global_rank(group: ProcessGroup | None, group_rank: int) -> int:
    """The rank of the default group that a group counts as ``group_rank``."""
    ranks = chosen(group).ranks
    if not 0 <= group_rank < len(ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return ranks[group_rank]


def get_group_rank(group: ProcessGroup | None, global_rank: int) -> int:
    """How a group counts a rank of the default group."""
    ranks = chosen(group).ranks
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return ranks.index(global_rank)
