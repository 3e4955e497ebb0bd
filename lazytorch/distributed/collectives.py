"""Collective operations on tensors, whose results are written into tensors that are given.

All run to their end at the call; with ``async_op`` a Work that is done comes back. Ranks (``src``,
``dst``) are counted in the default group. Objects travel as pickles: only processes that trust each
other are in one group.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch import capture
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributed import collective_algorithms as algorithms
from lazytorch.distributed.collective_algorithms import Array, ReduceOp
from lazytorch.distributed.groups import ProcessGroup, chosen, default_group
from lazytorch.functions.data import of_array
from lazytorch.tensor import Tensor

Group = ProcessGroup | None


class Work:
    """An operation that has ended."""

    def wait(self, timeout: Any = None) -> bool:
        return True

    def is_completed(self) -> bool:
        return True

    def is_success(self) -> bool:
        return True


def _finished(async_op: bool) -> Work | None:
    return Work() if async_op else None


def array_of(tensor: Any) -> Array:
    """The tensor's values, an array of its own; bfloat16 ones as float32."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"Invalid function argument. Expected a Tensor, but got {type(tensor)}")
    capture.refuse("values went to another process")
    plain = tensor.detach()
    if plain.dtype is dt.bfloat16:
        plain = plain.float()
    return np.array(plain.cpu()._array(), order="C")


def write(tensor: Tensor, array: Array) -> None:
    """Write an array of the tensor's shape into it."""
    with no_grad():
        made = of_array(array, dt.from_numpy(array.dtype))
        tensor.copy_(made.reshape(tensor.shape))


def _root(group: ProcessGroup, rank: int | None, group_rank: int | None) -> int:
    """A rank of the default group, or one of this group, as the group counts."""
    if group_rank is not None:
        return group_rank
    if rank is None:
        return 0
    if rank not in group.ranks:
        raise ValueError(f"Global rank {rank} is not part of group {group.ranks}")
    return group.ranks.index(rank)


def all_reduce(
    tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Group = None, async_op: bool = False
) -> Work | None:
    """The tensor becomes what all ranks' tensors make."""
    among = chosen(group)
    if among.rank >= 0:
        array = array_of(tensor)
        algorithms.all_reduce(among, array, op)
        write(tensor, array)
    return _finished(async_op)


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """As ``all_reduce``, written at ``dst`` alone."""
    among = chosen(group)
    if among.rank >= 0:
        array = array_of(tensor)
        algorithms.all_reduce(among, array, op)
        if among.rank == _root(among, dst, group_dst):
            write(tensor, array)
    return _finished(async_op)


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """The tensor becomes that of ``src``."""
    among = chosen(group)
    if among.rank >= 0:
        source = _root(among, src, group_src)
        array = array_of(tensor)
        algorithms.broadcast(among, array, source)
        if among.rank != source:
            write(tensor, array)
    return _finished(async_op)


def all_gather(
    tensor_list: Sequence[Tensor], tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """The tensors of all ranks, written into the list's."""
    among = chosen(group)
    if among.rank >= 0:
        _need_length(tensor_list, among)
        found = algorithms.all_gather(among, array_of(tensor))
        for target, array in zip(tensor_list, found, strict=True):
            write(target, array)
    return _finished(async_op)


def _need_length(tensors: Sequence[Any], group: ProcessGroup) -> None:
    if len(tensors) != group.size:
        raise ValueError(
            f"a list of {len(tensors)} tensors was given where the group has {group.size} ranks"
        )


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """The tensors of all ranks, one after the other (or stacked) in one tensor."""
    found = algorithms.all_gather(chosen(group), array_of(input_tensor))
    write(output_tensor, np.stack(found))
    return _finished(async_op)


def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """The tensors of all ranks, written into the list's at ``dst``."""
    among = chosen(group)
    if among.rank >= 0:
        target = _root(among, dst, group_dst)
        if among.rank == target:
            if not gather_list:
                raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
            _need_length(gather_list, among)
        found = algorithms.gather(among, array_of(tensor), target)
        for one, array in zip(gather_list or (), found or (), strict=True):
            write(one, array)
    return _finished(async_op)


def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """The tensor becomes its rank's one of the list at ``src``."""
    among = chosen(group)
    if among.rank >= 0:
        source = _root(among, src, group_src)
        arrays = None
        if among.rank == source:
            if not scatter_list:
                raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
            _need_length(scatter_list, among)
            arrays = [array_of(one) for one in scatter_list]
        array = array_of(tensor)
        algorithms.scatter(among, arrays, array, source)
        write(tensor, array)
    return _finished(async_op)


def reduce_scatter(
    output: Tensor,
    input_list: Sequence[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """What all ranks' i-th tensors make, at rank i."""
    among = chosen(group)
    stacked = np.stack([array_of(one) for one in input_list])
    algorithms.all_reduce(among, stacked, op)
    write(output, stacked[among.rank])
    return _finished(async_op)


def reduce_scatter_tensor(
    output: Tensor,
    input: Tensor,
    op: ReduceOp = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """As ``reduce_scatter`` of equal parts of one tensor."""
    among = chosen(group)
    array = array_of(input)
    algorithms.all_reduce(among, array, op)
    write(output, array.reshape(among.size, -1)[among.rank])
    return _finished(async_op)


def all_to_all(
    output_tensor_list: Sequence[Tensor],
    input_tensor_list: Sequence[Tensor],
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """The i-th tensor goes to rank i."""
    found = [array_of(one) for one in output_tensor_list]
    algorithms.all_to_all(chosen(group), [array_of(one) for one in input_tensor_list], found)
    for one, array in zip(output_tensor_list, found, strict=True):
        write(one, array)
    return _finished(async_op)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """The i-th part of the rows goes to rank i; parts are equal where no sizes are given."""
    among = chosen(group)
    given, landed = array_of(input), array_of(output)
    sent = _parts(given, input_split_sizes, among)
    algorithms.all_to_all(among, sent, _parts(landed, output_split_sizes, among))
    write(output, landed)
    return _finished(async_op)


def _parts(array: Array, sizes: Sequence[int] | None, group: ProcessGroup) -> list[Array]:
    """The rows of each rank."""
    if not sizes:
        if len(array) % group.size:
            raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
        sizes = [len(array) // group.size] * group.size
    if sum(sizes) != len(array) or len(sizes) != group.size:
        raise RuntimeError("Split sizes doesn't match total dim 0 size")
    return np.split(array, np.cumsum(sizes)[:-1])


def send(
    tensor: Tensor,
    dst: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send the tensor's values to a rank, which receives them in the order they are sent."""
    among = chosen(group)
    target = _root(among, dst, group_dst)
    if target == among.rank:
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as "
            "the rank of the current process."
        )
    among.send(target, array_of(tensor))


def recv(
    tensor: Tensor,
    src: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Write what a rank sends into the tensor; the rank."""
    among = chosen(group)
    if src is None and group_src is None:
        raise NotImplementedError("recv of whichever rank sends first: name the rank")
    source = _root(among, src, group_src)
    array = array_of(tensor)
    among.receive(source, array)
    write(tensor, array)
    return among.ranks[source]


def isend(tensor: Tensor, dst: int | None = None, group: Group = None, tag: int = 0) -> Work:
    send(tensor, dst, group, tag)
    return Work()


def irecv(tensor: Tensor, src: int | None = None, group: Group = None, tag: int = 0) -> Work:
    """``recv`` when it is waited for."""
    return _Awaited(lambda: recv(tensor, src, group, tag))


class _Awaited(Work):
    def __init__(self, action: Callable[[], Any]) -> None:
        self._action: Callable[[], Any] | None = action

    def wait(self, timeout: Any = None) -> bool:
        action, self._action = self._action, None
        if action is not None:
            action()
        return True

    def is_completed(self) -> bool:
        return self._action is None


class P2POp:
    """One of the operations that ``batch_isend_irecv`` begins: ``op`` is isend or irecv."""

    def __init__(
        self,
        op: Callable[..., Work],
        tensor: Tensor,
        peer: int | None = None,
        group: Group = None,
        tag: int = 0,
    ) -> None:
        if op not in (isend, irecv):
            raise ValueError("Invalid ``op``. Expected ``op`` to be ``torch.distributed.isend`` or "
                             "``torch.distributed.irecv``.")  # fmt: skip
        self.op, self.tensor, self.peer, self.group, self.tag = op, tensor, peer, group, tag


def batch_isend_irecv(p2p_op_list: Sequence[P2POp]) -> list[Work]:
    """Begin several sends and receives."""
    return [item.op(item.tensor, item.peer, item.group, item.tag) for item in p2p_op_list]


def barrier(group: Group = None, async_op: bool = False, **_: Any) -> Work | None:
    """Go on when all ranks have come here."""
    among = chosen(group)
    if among.rank >= 0:
        algorithms.all_reduce(among, np.zeros(among.size, np.uint8), ReduceOp.SUM)
    return _finished(async_op)


def monitored_barrier(
    group: Group = None, timeout: Any = None, wait_all_ranks: bool = False
) -> None:
    """``barrier``, which fails where a rank does not come within the group's time limit."""
    barrier(group)


def _bytes(item: Any) -> Array:
    return np.frombuffer(pickle.dumps(item), np.uint8).copy()


def all_gather_object(object_list: list[Any], obj: Any, group: Group = None) -> None:
    """The objects of all ranks, written into the list."""
    among = chosen(group)
    mine = _bytes(obj)
    sizes = [int(n[0]) for n in algorithms.all_gather(among, np.array([mine.size], np.int64))]
    padded = np.zeros(max(sizes), np.uint8)
    padded[: mine.size] = mine
    found = algorithms.all_gather(among, padded)
    for i, (size, array) in enumerate(zip(sizes, found, strict=True)):
        object_list[i] = pickle.loads(array[:size].tobytes())


def gather_object(
    obj: Any, object_gather_list: list[Any] | None = None, dst: int = 0, group: Group = None
) -> None:
    """The objects of all ranks, written into the list at ``dst``."""
    among = chosen(group)
    found: list[Any] = [None] * among.size
    all_gather_object(found, obj, group)
    if default_group().rank == dst and object_gather_list is not None:
        object_gather_list[:] = found


def broadcast_object_list(
    object_list: list[Any], src: int = 0, group: Group = None, device: Any = None
) -> None:
    """The list becomes that of ``src``."""
    among = chosen(group)
    source = _root(among, src, None)
    mine = _bytes(object_list)
    size = np.array([mine.size], np.int64)
    algorithms.broadcast(among, size, source)
    array = mine if among.rank == source else np.empty(int(size[0]), np.uint8)
    algorithms.broadcast(among, array, source)
    if among.rank != source:
        object_list[:] = pickle.loads(array.tobytes())


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int = 0,
    group: Group = None,
) -> None:
    """The first object of the list becomes this rank's one of the list at ``src``."""
    among = chosen(group)
    several = [list(scatter_object_input_list or [])]
    broadcast_object_list(several, src, group)
    scatter_object_output_list[0] = several[0][among.rank]


def send_object_list(
    object_list: list[Any], dst: int | None = None, group: Group = None, device: Any = None
) -> None:
    """Send a list of objects to a rank."""
    among = chosen(group)
    mine, target = _bytes(list(object_list)), _root(among, dst, None)
    among.send(target, np.array([mine.size], np.int64))
    among.send(target, mine)


def recv_object_list(
    object_list: list[Any], src: int | None = None, group: Group = None, device: Any = None
) -> int:
    """The list becomes the one that a rank sends; the rank."""
    if src is None:
        raise NotImplementedError("recv_object_list of whichever rank sends first: name the rank")
    among = chosen(group)
    size, source = np.zeros(1, np.int64), _root(among, src, None)
    among.receive(source, size)
    found = np.empty(int(size[0]), np.uint8)
    among.receive(source, found)
    object_list[:] = pickle.loads(found.tobytes())
    return among.ranks[source]
