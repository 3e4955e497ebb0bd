"""Where views lie: in the values that they are read from, and in those that they are made of."""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from codegen.runtime.memory import Buffer
from lazytorch import core
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.expression import Attributes, Call, Expression, Overwritten, SharedSince, nobody
from lazytorch.geometry import Geometry, in_elements, places_between, within_region
from lazytorch.layout import channels_last, channels_last_3d, preserve_format
from lazytorch.layouts import is_contiguous_channels_last
from lazytorch.leaves import LeafReference
from lazytorch.memory_views import view_of_memory
from lazytorch.recording import last_recorded, record, untracked
from lazytorch.seen_as import read_view, written_view
from lazytorch.view_history import origin_of, refusal, retain_by

if TYPE_CHECKING:
    from codegen.dtype import DType
    from lazytorch.layouts import Layout
    from lazytorch.storage import Storage
    from lazytorch.tensor import Tensor


def attributes_of(view: Geometry, storage: Storage) -> Attributes:
    """The attributes of a call that reads this view from its storage's value, or writes there."""
    layout = storage.layout
    if layout is None or layout.order is None:
        return (view.shape, view.strides, view.offset)
    return _attributes_in(view, storage.expression.type.shape, layout)


@lru_cache(4096)
def _attributes_in(view: Geometry, shape: tuple[int, ...], layout: Layout) -> Attributes:
    try:
        view = within_region(view, Geometry(shape, layout.strides, 0))
    except RuntimeError:  # it runs from one row of the value into the next
        return (view.shape, view.strides, view.offset, layout.order)
    return (view.shape, view.strides, view.offset)


def read_in(
    storage: Storage, value: Expression, dtype: DType, view: Geometry, tracked: int
) -> Expression:
    """What a view of elements of this type shows of a value of the storage's."""
    if storage.special is None and dtype is value.type.dtype and not view.changes_values:
        return record(core.VIEW, (value,), view.place, tracked)[0]
    order = storage.order
    if order is None or (dtype is value.type.dtype and not view.changes_values):
        return read_view(value, None, dtype, view, [attributes_of(view, storage)], tracked)
    return read_view(_flat(value, order, tracked), None, dtype, view, [view.place], tracked)


def write_in(
    storage: Storage, base: Expression, value: Expression, view: Geometry, tracked: int
) -> Expression:
    """A value of the storage's with what is written where a view of it lies."""
    layout = storage.layout
    if layout is None or layout.order is None or value.type.dtype is base.type.dtype:
        return written_view(base, None, value, view, attributes_of(view, storage), tracked)
    flat = _flat(base, layout.order, tracked)
    made = written_view(flat, None, value, view, view.place, tracked)
    return record(core.VIEW, (made,), (base.type.shape, layout.strides, 0), tracked)[0]


def _flat(value: Expression, order: tuple[int, ...], tracked: int) -> Expression:
    """The elements of a value in one dimension, as they lie in memory in this order."""
    return record(core.VIEW, (value,), ((value.type.size,), (1,), 0, order), tracked)[0]


class ViewPlaces:
    """The part of ``Tensor`` that knows where a view lies in what it was made of."""

    if TYPE_CHECKING:
        # As Tensor has them.
        _marker: tuple[Expression, Expression] | None
        _view_cache: tuple[Expression, Expression] | None

    def _read_plain_view(self: Any, value: Expression) -> Expression:
        """As ``_read_view``, where no gradient flows and this has no history of its own."""
        cached: tuple[Expression, Expression] | None = self._view_cache
        if cached is not None and cached[0] is value:
            return cached[1]
        storage, geometry, memory, view = self._storage, self._geometry, value.value, None
        assert geometry is not None
        if type(memory) is Buffer and memory.order == storage.order:
            view = view_of_memory(self._type, geometry, value)
        if view is None:
            view = read_in(storage, value, self._type.dtype, geometry, False)
        self._view_cache = (value, view)
        return view

    def _follows(self: Any, value: Expression) -> bool:
        """Of a view: whether its gradient goes on to the storage's value. Not to a leaf's that is
        another tensor over the memory, as a Parameter is of what it was made of."""
        leaf = value.leaf
        if type(leaf) is not LeafReference or self._source is None:
            return True
        return leaf() is self._root()

    def _read_from_base(self: Any, call: Call, base: Expression) -> None:
        """Let what an operation in place reads of this view come from the storage."""
        cached = self._view_cache
        if cached is not None and cached[0] is base and call.inputs[:1] == (cached[1],):
            call.inputs = (self._of_base(*cached), *call.inputs[1:])

    def _of_base(self: Any, base: Expression, view: Expression) -> Expression:
        """What this shows of a storage's value, for what writes in place: its gradient goes to the
        base, not to the view that this one was made of, which may have a hook."""
        geometry = self._geometry
        if geometry is None or not view.tracked:
            return view
        return read_in(self._storage, base, self._type.dtype, geometry, True)

    def _is_in_format(self: Any, memory_format: Any) -> bool:
        """Whether it lies in rows, or as images or volumes whose channels lie innermost."""
        shape, strides = self._type.shape, self._strides()
        if memory_format is preserve_format:
            raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
        if memory_format not in (channels_last, channels_last_3d):
            raise TypeError(
                "is_contiguous(): argument 'memory_format' must be torch.memory_format, not "
                f"{type(memory_format).__name__}"
            )
        rank = 4 if memory_format is channels_last else 5
        if len(shape) != rank:
            return False
        return 0 in shape or is_contiguous_channels_last(shape, strides)

    def _written_in(self: Any, root: Any, base: Expression, value: Expression) -> Expression:
        """The value of the alias that this is a view of, with what is written to the view."""
        view: Geometry = self._geometry
        if root._geometry is None:
            return write_in(self._storage, base, value, view, True)
        of: Geometry = root._geometry
        place = within_region(view, in_elements(of, root._type.dtype, self._type.dtype))
        return written_view(base, of, value, view, place.place, True)

    def _place_in_source(self: Any) -> Geometry | None:
        """Where a view of what overlaps lies in a copy of that, if it lies where it did."""
        found: tuple[Geometry, Geometry | None] | None = self._in_source
        if found is None or self._source is None or self._source._geometry is not found[1]:
            return None
        return found[0]

    def _places_in(self: Any, root: Any) -> list[Geometry]:
        """Where it lies in a copy of a view that it is made of; view by view where one of them
        shows elements more than once."""
        chain = []
        x: Tensor | None = self
        while x is not None and x is not root and x._geometry is not None:
            chain.append((x._geometry, x._place_in_source()))
            x = x._source
        of = in_elements(root._geometry, root._type.dtype, self._type.dtype)
        return places_between(chain, of)

    def _is_view(self: Any) -> bool:
        return self._root() is not self and not self._storage.is_inference()

    def _root(self: Any) -> Any:
        """The tensor that all views on the way to this one are views of."""
        x = self
        while (source := x._view_of if x._source is None else x._source) is not None:
            x = source
        return x

    def _is_of_tracked(self: Any) -> bool:
        """Of a view made under no_grad: whether what it is a view of requires grad."""
        root = self._root()
        return bool(root is not self and root.requires_grad)

    def _has_marker(self: Any) -> bool:
        """Whether this has a value of its own to the graph. A view made under no_grad, whose
        gradient nobody collects, has one for as long as what it is a view of requires grad."""
        return self._marker is not None and (self._collects or self._is_of_tracked())

    def _is_older_than_leaf(self: Any) -> bool:
        """Of a view: whether it was made before its base became a leaf that requires grad, and
        nothing was written since. It requires grad as well then, and goes on to nothing."""
        value = self._storage.expression
        return bool(
            not self._has_node
            and self._geometry is not None
            and value.leaf is not None
            and self._connected
            and self._marker is None
            and self._made_at == self._storage.version
            and self._source is not None
            and self._follows(value)
        )

    def _read_as_older(self: Any, value: Expression) -> Expression | None:
        """The reading of such a view, a leaf whose gradient nobody collects, or of a view of one;
        None of others."""
        older = self
        while older is not None and not older._is_older_than_leaf():
            older = older._source
        if older is None:
            return None
        if older is not self:
            return self._view_of_marker(self._source)  # type: ignore[no-any-return]
        cached = self._view_cache
        if cached is None or cached[0] is not value or cached[1].leaf is not nobody:
            storage = self._storage
            leaf = read_in(storage, untracked(value), self._type.dtype, self._geometry, False)
            leaf.tracked, leaf.leaf = True, nobody
            leaf.owner = SharedSince(weakref.ref(storage), storage.version)
            self._view_cache = cached = value, leaf
        known: Expression = cached[1]
        return known

    def _view_of_marker(self: Any, parent: Tensor) -> Expression:
        """What this shows of a tensor with a history of its own, which it is a view of."""
        if self._is_cut_from(parent):
            if self._of_unrecorded and grad_state.enabled:
                raise refusal(self, indirect=True)
            parent = self._root()
        value = parent._read()
        cached, geometry = self._view_cache, self._geometry
        if grad_state.enabled:
            self._has_node = True
        if cached is not None and cached[0] is value:
            known: Expression = cached[1]
            return known
        assert geometry is not None
        made_of, name = self._source, self._view_name
        is_current = self._made_at == self._storage.version
        if parent._geometry is None:
            view = read_in(self._storage, value, self._type.dtype, geometry, True)
        else:
            places = [place.place for place in self._places_in(parent)]
            view = read_view(value, parent._geometry, self._type.dtype, geometry, places, True)
        assert view.call is not None
        view.call.via = None, name if is_current else "AsStrided", geometry, None
        if view.call is not None and is_current:
            if made_of is not parent:
                view.call.via = origin_of(made_of), name, geometry, self._place_in_source()
            if self._one_of is not None:
                view.call.siblings = self._one_of[2]
        if self._retains_grad:
            if not grad_state.enabled:
                return view
            retain_by(self, view)
        self._view_cache = (value, view)
        return view

    def _with_node_of(
        self: Any, view: Expression, value: Expression, before: Expression
    ) -> Expression:
        """What this shows, with the history of what it showed ``before`` of a storage's value,
        where that was written over through ``.data`` alone: PyTorch makes no node anew then."""
        storage: Storage = self._storage
        owner = value.owner
        if type(owner) is not Overwritten or owner.version != storage.version:
            return view
        if owner.storage() is not storage:
            return view
        inputs = untracked(view), last_recorded(before)
        kept: Expression = record(core.REPLACE_VALUE, inputs, (), view.tracked)[0]
        kept.owner = SharedSince(weakref.ref(storage), storage.version)
        return kept

    def _is_cut_from(self: Any, parent: Any) -> bool:
        """Of a view of a leaf that is itself a view: whether the memory was written to since it was
        made of that. PyTorch then makes it anew, as a view of what both are views of."""
        if not (parent._is_view() and parent._is_leaf()):
            return False
        x = self
        while x._source is not parent:
            x = x._source
        return bool(x._made_at != self._storage.version)

    def _rejoin(self: Any) -> None:
        """Where a view required grad as a leaf of its own, and what it is a view of requires grad
        and was written to since, be a view of that again: PyTorch then makes its node anew."""
        parent = self._parent
        if parent is not None:
            parent._rejoin()
            if parent._marker is None and parent._source is not None:
                self._connected, self._parent = parent._connected, parent._parent
        if self._marker is None or self._source is None or self._without_recording:
            return
        known, own = self._marker
        is_leaf = own is known or own.leaf is not None  # it was not read yet, or is one
        if is_leaf and self._made_at != self._storage.version and self._root().requires_grad:
            self._marker = self._view_cache = None
            self._connected, self._has_node = self._root()._connected, True
