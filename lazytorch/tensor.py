"""Tensor: a view (shape, strides, offset) of a storage whose value is a lazy expression.

Operations come here through ``apply``, which records a call. The public operations themselves
stand in functions/, which adds them to Tensor as methods.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import TensorType
from codegen.ops.strided import contiguous_strides
from codegen.runtime.memory import Buffer
from lazytorch import core, layouts, levels, references
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.grad_mode import unusual
from lazytorch.device import Device
from lazytorch.expression import (
    FORWARD,
    Expression,
    Overwritten,
    SharedSince,
    new_expression,
    nobody,
    shared_owner,
)
from lazytorch.geometry import (
    Geometry,
    is_contiguous,
    place_in_copy,
    repeats,
    steps_of,
    wrap_dim,
)
from lazytorch.host_values import HostValues
from lazytorch.layout import Layout, MemoryFormat, contiguous_format, strided
from lazytorch.leaves import LeafReference, reference_to, settle_grad
from lazytorch.memory_views import view_of_memory, write_into_shared
from lazytorch.memory_writes import MemoryWrites
from lazytorch.realize import realize
from lazytorch.recording import (
    last_recorded,
    note_in_place,
    of_its_own,
    record,
    untracked,
    without_gradient,
)
from lazytorch.size import Size
from lazytorch.storage import ExportedMemory, new_storage
from lazytorch.view_history import (
    CANNOT_DETACH,
    CANNOT_REQUIRE,
    ViewOrigin,
    forget_retained,
    is_restricted,
    origin_of,
    refusal,
    refusal_of_inner,
    retain_by,
    retain_new_value,
    views,
)
from lazytorch.view_places import ViewPlaces, read_in, write_in
from lazytorch.write_refusals import WriteRefusals

# Memory that NumPy shares is copied when read, up to this size; above it, the reader runs at once.
SNAPSHOT_BYTES = 4 << 20
# Views that may show an element more than once.
_REPEATING = frozenset(["AsStrided", "Expand", "Unfold"])

_USE_DETACH = (
    " If you want to use a computed variable in a subgraph that doesn't require differentiation "
    "use var_no_grad = var.detach()."
)


class Tensor(HostValues, MemoryWrites, ViewPlaces, WriteRefusals):
    """A multi-dimensional array of one element type, whose operations are recorded and compiled.

    >>> import lazytorch as torch
    >>> torch.tensor([1.0, 2.0]).exp().sum()
    tensor(10.1073)
    """

    # Instances set only what differs from these.
    _geometry: Geometry | None = None  # None: the whole storage, in its own shape
    _connected = True  # an alias through which gradients flow; False for detach() and .data
    _silent = False  # made by .data: its writes are not seen by backward's version check
    # An unconnected alias's own history: (storage value, the leaf or tracked value over it).
    _marker: tuple[Expression, Expression] | None = None
    _parent: Tensor | None = None  # the unconnected alias it is a view of
    # The tensor this was made a view of, and the storage's version then.
    _source: Tensor | None = None
    _made_at = 0
    # Values of this view that backward is to find, where they are older than the view's cache.
    _watched: list[Expression] | None = None
    # Of a view that may show an element twice, and of views of it. Of a view of such a one: its
    # place in that one's contiguous copy, and where that one lay.
    _overlaps = False
    _in_source: tuple[Geometry, Geometry | None] | None = None
    _origin: ViewOrigin | None = None  # what the graph remembers of this view
    # Of several views: what made them, which it is, and what they share as outputs of one node.
    _one_of: tuple[str, int, object] | None = None
    _collects = True  # as a leaf with a marker
    _reference: LeafReference | None = None  # what refers to it where it is a leaf
    _without_recording = False  # a view made under no_grad
    _in_inference = False  # or in inference mode
    _counts_writes = False  # of inference memory: it may be written to, outside that mode too
    _of_unrecorded = False  # a view made of such a view
    _refused_write: str | None = None  # why a recorded write is refused
    # Of a view that a user's Function gave back, and of views of it: what made it, which of its
    # outputs it is, and why nobody may write to it.
    _of_function: tuple[str, int, str] | None = None
    # Of a view that such a Function gave back, whose history is the Function's: what it is made of.
    _view_of: Tensor | None = None
    _reaches_out = False  # an as_strided view of what the tensor it is made of does not show
    # Of what a derivative is taken by, and views of it: the tensor given, and its copy's value.
    _stands_for: tuple[Tensor, Expression] | None = None
    _view_cache: tuple[Expression, Expression] | None = None  # (storage value, view of it)
    # Of a view, that PyTorch has made its node: it does that when a recorded call reads the view.
    _has_node = False
    _view_name = "View"  # the operation that made this view
    _grad: Tensor | None = None
    _backward_hooks: dict[int, Any] | None = None
    _retains_grad = False
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = legacy_constructor[0](*args, **kwargs)
        return made if cls is Tensor else made.as_subclass(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("lazytorch."):
            for react in subclassed:
                react()

    if TYPE_CHECKING:
        # What functions/ adds: the type checker cannot see it.
        grad: Any
        data: Any

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...

    # ---- shape and type ---------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self._type.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the extent of one dimension."""
        if dim is None:
            return Size(self._type.shape)
        return self._type.shape[wrap_dim(dim, len(self._type.shape))]

    @property
    def dtype(self) -> DType:
        return self._type.dtype

    @property
    def device(self) -> Device:
        return Device(self._storage.device)

    @property
    def layout(self) -> Layout:
        return strided

    @property
    def ndim(self) -> int:
        return len(self._type.shape)

    def dim(self) -> int:
        return len(self._type.shape)

    ndimension = dim

    def numel(self) -> int:
        return self._type.size

    nelement = numel

    @property
    def itemsize(self) -> int:
        return self._type.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self._type.nbytes

    def element_size(self) -> int:
        return self._type.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Steps between neighbours along each dimension (or one), in elements."""
        strides = self._strides()
        return strides if dim is None else strides[wrap_dim(dim, self.ndim)]

    def storage_offset(self) -> int:
        return self._geometry.offset if self._geometry else 0

    def is_contiguous(self, memory_format: MemoryFormat = contiguous_format) -> bool:
        if memory_format is not contiguous_format:
            return self._is_in_format(memory_format)
        if self._type.size == 0 or (self._geometry is None and self._storage.special is None):
            return True
        return is_contiguous(self._type.shape, self._strides())

    def is_floating_point(self) -> bool:
        return self._type.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self._type.dtype.is_complex

    def _strides(self) -> tuple[int, ...]:
        geometry = self._geometry
        if geometry is not None:
            return geometry.strides
        layout = self._storage.layout
        return contiguous_strides(self._type.shape) if layout is None else layout.strides

    def _steps(self) -> tuple[int, ...]:
        """The strides, for views to be computed from."""
        geometry = self._geometry
        if geometry is None:
            return self._strides()
        return steps_of(geometry) if self._overlaps else geometry.strides

    # ---- the expression behind ----------------------------------------------------------------

    def _read(self) -> Expression:
        """The expression of the present value, as an input of a call."""
        storage = self._storage
        value = storage.expression
        if storage.special is not None and storage.is_shared():
            value = self._read_shared(value)
        if self._geometry is not None:
            return self._read_view(value)
        if self._marker is not None:
            return self._read_marker(value)
        if value.tracked and not (self._connected and (value.leaf is None or value.leaf() is self)):
            return untracked(value)
        return value

    def _read_shared(self, value: Expression) -> Expression:
        if value.type.nbytes <= SNAPSHOT_BYTES or levels.state.active:
            return self._storage.snapshot()
        eager.wanted = True
        return value

    def _read_view(self, value: Expression) -> Expression:
        storage = self._storage
        if not (
            value.tracked
            or value.leaf is not None
            or self._marker is not None
            or self._parent is not None
            or (self._without_recording and grad_state.enabled)
        ):
            return self._read_plain_view(value)
        if self._marker is not None or self._parent is not None:
            self._rejoin()
        if self._has_marker():
            if self._without_recording:
                self._refuse_changed()
            return self._read_marker(value)
        if self._without_recording and grad_state.enabled and self._is_of_tracked():
            # As in PyTorch, it is a leaf of its own, and nobody collects its gradient.
            self._refuse_changed()
            self._marker, self._collects = (UNREAD, UNREAD), False
            return self._read_marker(value)
        if value.leaf is not None and grad_state.enabled:
            older = self._read_as_older(value)
            if older is not None:
                return older
        parent = self._parent
        if parent is not None and parent._marker is not None:
            if self._one_of is not None:
                self._refuse_changed()
            return self._view_of_marker(parent)
        cached = self._view_cache
        if cached is not None and cached[0] is value:
            if not self._has_node and cached[1].tracked and grad_state.enabled:
                self._has_node = True
            return cached[1]
        geometry = self._geometry
        assert geometry is not None
        source = value
        if value.tracked and not (self._connected and self._follows(value)):
            source = without_gradient(value) if self._without_recording else untracked(value)
        view = None
        if source.tracked and grad_state.enabled:
            self._has_node = True
        memory = source.value
        if not source.tracked and type(memory) is Buffer and memory.order == storage.order:
            view = view_of_memory(self._type, geometry, source)
        if view is None:
            view = read_in(storage, source, self._type.dtype, geometry, source.tracked)
            made_of = self._source
            if source.tracked and made_of is not None and view.call is not None:
                if self._made_at == storage.version:
                    via = origin_of(made_of), self._view_name, geometry, self._place_in_source()
                    view.call.via = via
                    if self._one_of is not None:
                        view.call.siblings = self._one_of[2]
                elif self._one_of is None:
                    view.call.via = None, "AsStrided", geometry, None
                else:  # refused where it is recorded, so it is not kept for later
                    self._refuse_changed()
                    return view
        if cached is not None and view.tracked and cached[1].tracked:
            view = self._with_node_of(view, *cached)
        # What became a view in place, as by squeeze_(), goes on to keep the gradient that it did.
        if self._retains_grad and view.tracked and self._source is not None:
            if not grad_state.enabled:
                return view  # no node is made of it, and none may be found by later uses
            retain_by(self, last_recorded(view))
        self._view_cache = (value, view)
        return view

    def _read_marker(self, value: Expression) -> Expression:
        marker = self._marker
        assert marker is not None
        one_of = self._reaches_out and self._one_of is not None
        if one_of or self._of_function is not None or self._of_unrecorded:
            self._refuse_changed()
        if marker[0] is not value:
            if self._reaches_out and value.tracked and self._made_at != self._storage.version:
                return self._read_anew(value)
            source = value
            if value.tracked:
                source = without_gradient(value) if self._without_recording else untracked(value)
            geometry, tracked = self._geometry, source.tracked
            if geometry is None:
                leaf = record(core.IDENTITY, (source,), (), tracked)[0]
            else:
                leaf = read_in(self._storage, source, self._type.dtype, geometry, tracked)
            history = marker[1]
            if history is not UNREAD and history.leaf is None:
                # What was written through another alias, while the gradient flows as before.
                leaf = record(core.REPLACE_VALUE, (leaf, history), (), history.tracked)[0]
            else:
                leaf.tracked |= True
                leaf.leaf = reference_to(self) if self._collects else nobody
            if not self._silent:
                leaf.owner = SharedSince(weakref.ref(self._storage), self._storage.version)
            self._marker = marker = (value, leaf)
        return marker[1]

    def _read_anew(self, value: Expression) -> Expression:
        """As a view of the storage, which PyTorch makes of any view whose memory was written to: it
        is none of what the tensor it was made of shows any more."""
        geometry = self._geometry
        assert geometry is not None
        view = read_in(self._storage, value, self._type.dtype, geometry, True)
        assert view.call is not None
        view.call.via = None, "AsStrided", geometry, None
        self._marker = (value, view)
        return view

    def _write(self, value: Expression) -> Tensor:
        """Replace what this tensor shows by a value of its type, in every alias."""
        if levels.derivatives.count:
            self._refuse_captured()
        storage = self._storage
        before = storage.expression
        recording = grad_state.enabled
        is_inference = storage.is_inference()
        if not (value.tracked or recording or is_inference or unusual.active) and self._is_plain():
            storage.write(of_its_own(value))
            return self
        if is_inference and self._is_refused_inference_write(recording):
            self._write_refused(value)
        if recording:
            self._refuse_recorded_write(before, bool(value.tracked & True))
            if value.tracked and value.owner is None and value.leaf is None:
                made = note_in_place(value)
                if views.watched and made is not None and self._geometry is not None:
                    self._read_from_base(made, before)
        geometry = self._geometry
        if geometry is not None and repeats(geometry):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a "
                "single memory location. Please clone() the tensor before performing the operation."
            )
        if recording and not self._connected:
            root = self if self._parent is None or self._marker is not None else self._parent
            if value.tracked or root._marker is not None:
                return self._write_history(root, value)
        if value.tracked and not recording:
            value = without_gradient(value)
        if storage.is_shared():
            before = storage.expression
        written: Expression | None = None
        if geometry is not None:
            is_tracked = before.tracked or value.tracked
            del before  # whoever writes in memory counts who refers to it
            if not is_tracked and self._write_in_memory(value):
                return self
            before = storage.expression
            base = before
            if before.tracked and not (recording and self._connected and self._follows(before)):
                base = without_gradient(before)
            if value.tracked:
                value = of_its_own(value)
                written = value  # lies in this memory from now on
            value = write_in(storage, base, value, geometry, base.tracked | value.tracked)
        if before.tracked and before.leaf is None and not value.tracked:
            seen = (recording or before.tracked == FORWARD) and self._connected
            function = core.OVERWRITE if seen else core.REPLACE_VALUE
            value = record(function, (value, before), (), before.tracked)[0]
        value = of_its_own(value)
        if storage.is_shared():
            write_into_shared(storage, value, self._silent)
        else:
            storage.write(value, self._silent)
            if written is not None:
                written.owner = SharedSince(weakref.ref(storage), storage.version)
        if recording and value.tracked and self._connected:
            self._has_node = True
            retain_new_value(last_recorded(before), storage.expression)
            if self._geometry is not None:
                storage.viewed = True
                if self._retains_grad:
                    forget_retained(self)  # that of what is read next is kept
        return self

    def _write_history(self, root: Tensor, value: Expression) -> Tensor:
        """A recorded write through an unconnected alias: it has a history from now on, and the
        memory's other aliases see the value alone."""
        current = root._read()
        written = value = of_its_own(value) if value.tracked else value
        if root is not self:
            value = self._written_in(root, current, value)
        elif not value.tracked:
            value = record(core.OVERWRITE, (value, current), (), True)[0]
        grad_state.enabled = False
        try:
            root._write(untracked(value))
        finally:
            grad_state.enabled = True
        for lying_here in (value, written) if written.tracked else (value,):
            lying_here.owner = SharedSince(weakref.ref(self._storage), self._storage.version)
        root._marker = (self._storage.expression, value)
        self._has_node = True
        retain_new_value(last_recorded(current), value)
        return self

    # ---- autograd state -------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        if self._marker is not None:
            return self._has_marker()
        if self._parent is not None:
            self._rejoin()
        value = self._storage.expression
        if not value.tracked or not self._connected:
            if self._without_recording:
                return self._is_of_tracked()
            return self._parent is not None and self._parent._marker is not None
        if value.tracked == FORWARD:
            return False
        if self._geometry is not None:
            return self._follows(value)
        return value.leaf is None or value.leaf() is self

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if not isinstance(flag, bool):
            raise RuntimeError("requires_grad must be a bool")
        if not self._is_leaf():
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables."
                + ("" if flag else _USE_DETACH)
            )
        self._require_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Collect a gradient in ``.grad`` from now on (or no longer)."""
        if not isinstance(requires_grad, bool):
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                + type(requires_grad).__name__
            )
        if levels.state.inside:
            raise RuntimeError(levels.IN_PLACE_REQUIRES_GRAD)
        return self._require_grad_(requires_grad)

    def _require_grad_(self, requires_grad: bool = True) -> Tensor:
        """As ``requires_grad_``, also within a transform of torch.func."""
        if requires_grad and self._storage.is_inference() and not grad_state.inference:
            raise RuntimeError(CANNOT_REQUIRE)
        is_collected = self._marker is not None and self._collects
        nobodys = self._without_recording and not is_collected and self._is_of_tracked()
        nobodys = requires_grad and (nobodys or self._is_older_than_leaf())
        if requires_grad == self.requires_grad and not nobodys:
            return self
        if not requires_grad:
            if not self._is_leaf():
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables." + _USE_DETACH
                )
            # A view made without recording, or before, goes on requiring grad.
            if self._marker is not None or not (
                self._without_recording or self._is_older_than_leaf()
            ):
                self._forget_leaf()
            return self
        if not self._type.dtype.differentiable:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        value = self._storage.expression
        if self._geometry is None and self._connected and not value.tracked & True:
            value = self._storage.own_value()
            value.tracked |= True
            value.leaf = reference_to(self)
        else:
            # Another tensor has the storage's place as a leaf; this one is a leaf of its own.
            self._connected, self._collects = False, True
            self._marker = (UNREAD, UNREAD)
        return self

    def _forget_leaf(self) -> None:
        if self._marker is not None:
            self._marker = None
            return
        storage = self._storage
        if storage.is_viewed() and references.count(storage) > references.BY_NAME + 1:
            self._connected = False  # views made before keep their history
            return
        value = storage.expression
        if value.value is None:
            realize([value])
        fresh = new_expression(value.type, value.device, value=value.value)
        value.owner = shared_owner(value)  # what has saved it sees writes to come
        fresh.owner = weakref.ref(storage)
        storage.expression = fresh

    def _renew_leaf(self, reference: LeafReference) -> None:
        """Be a leaf by another value than those that the graph knows by this reference."""
        if self._marker is not None and self._marker[1].leaf is reference:
            self._marker = (UNREAD, UNREAD)
        if self._storage.expression.leaf is reference:
            value = self._storage.value_apart()
            value.tracked, value.leaf = True, reference_to(self)
        settle_grad(self)

    @property
    def is_leaf(self) -> bool:
        if self._of_function is not None and self.requires_grad:
            self._refuse_changed()
        if self._marker is not None or self._parent is not None:
            self._rejoin()
        if self._geometry is not None and self._marker is None and self.requires_grad:
            if self._made_at != self._storage.version and is_restricted(self):
                raise refusal(self, indirect=True)  # PyTorch would make its node anew
            if not self._without_recording and not self._is_older_than_leaf():
                self._has_node = True
        return self._is_end()

    def _is_end(self) -> bool:
        """Whether this is a leaf, to the derivative that is under way too."""
        return self._is_leaf() or (levels.derivatives.count > 0 and self._is_source())

    def _is_leaf(self) -> bool:
        """Whether this is a leaf, without making a view's node."""
        if not self.requires_grad:
            return True
        marker = self._marker
        if marker is not None:
            return marker[1] is UNREAD or marker[1].leaf is not None
        if self._without_recording:
            return True
        if self._geometry is not None:
            return self._is_older_than_leaf()
        return self._storage.expression.leaf is not None

    @property
    def _version(self) -> int:
        if self._storage.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._storage.version

    def detach(self) -> Tensor:
        """An alias through which no gradient flows; writes to either are seen in both."""
        alias = self._alias(Tensor, connected=False)
        if self._storage.is_inference() and not grad_state.inference:
            alias._counts_writes = True
        return alias

    def _bare(self) -> Tensor:
        """As ``detach()``, and writes to it are none that backward checks for."""
        alias = self.detach()
        alias._silent = True
        return alias

    def detach_(self) -> Tensor:
        """Cut this tensor from the graph that made it."""
        if self._is_view():
            raise RuntimeError(CANNOT_DETACH)
        if not self._connected and self._parent is None:
            if self._marker is not None and type(owner := self._marker[1].owner) is SharedSince:
                owner.detached = self._marker[1].leaf is None
            self._marker = None
            return self
        storage = self._storage
        shared = references.count(storage) > references.BY_NAME + 1
        if storage.expression.tracked and shared and storage.is_viewed():
            self._connected = False  # views made before keep their history
        elif storage.expression.tracked:
            value = untracked(storage.expression)
            owner = shared_owner(storage.expression)
            if type(owner) is SharedSince and storage.expression.leaf is None:
                owner.detached = True
            storage.expression.owner = owner
            value.owner = weakref.ref(storage)
            storage.expression = value
        self._marker = self._view_cache = None
        return self

    def _collecting(self) -> Tensor:
        """The tensor that collects this one's gradient: a sparse tensor's values do."""
        return self

    def _as_gradient(self, gradient: Tensor) -> Tensor:
        """What was collected, as a gradient of this tensor."""
        return gradient

    def _alias(self, cls: type[Tensor], connected: bool) -> Tensor:
        alias = object.__new__(cls)
        alias._storage = self._storage
        alias._type = self._type
        if self._geometry is not None:
            alias._geometry, alias._overlaps = self._geometry, self._overlaps
        if not connected or not self._connected:
            alias._connected = False
        if self._silent and not connected:
            alias._silent = True
        if self._stands_for is not None:
            alias._stands_for = self._stands_for
        return alias

    @staticmethod
    def _make_subclass(cls: Any, data: Tensor, require_grad: bool = False) -> Any:
        """A tensor of class ``cls`` over ``data``'s memory, a leaf of its own."""
        made = data._alias(cls, connected=True)
        value = data._storage.expression
        if value.tracked and made._geometry is None and value.leaf is None:
            made._connected = False
        if require_grad:
            made._require_grad_()
        return made

    def _view(
        self, shape: Sequence[int], strides: Sequence[int], offset: int, name: str = "View",
        dtype: DType | None = None, changes: tuple[bool, ...] | None = None,
    ) -> Tensor:  # fmt: skip
        """A view of the same storage, whose grad_fn shows as ``name``. ``changes``: whether its
        numbers are conjugated and negated, if not as this one's are."""
        shape = tuple(shape)
        if changes is None:
            changes = () if self._geometry is None else self._geometry[3:]
        if not self._overlaps and name not in _REPEATING:
            geometry = Geometry(shape, tuple(strides), offset, *changes)
            return self._view_at(geometry, TensorType(shape, dtype or self._type.dtype), name)
        within = None
        if self._overlaps and name != "AsStrided":
            within = place_in_copy(shape, strides, offset), self._geometry
        geometry = Geometry(shape, tuple([int(s) for s in strides]), int(offset), *changes)
        view = self._view_at(geometry, TensorType(shape, dtype or self._type.dtype), name)
        view._overlaps = True
        if within is not None:
            view._in_source = within
        return view

    def _view_at(self, geometry: Geometry, type_: TensorType, name: str) -> Tensor:
        """As ``_view``, of a place and a type that are known, without repeated elements."""
        if self._marker is not None or self._parent is not None:
            self._rejoin()
        view = object.__new__(Tensor)
        view._storage, view._geometry, view._type = self._storage, geometry, type_
        view._view_name = name
        view._source, view._made_at = self, self._storage.version
        if self._silent:
            view._silent = True
        if self._stands_for is not None:
            view._stands_for = self._stands_for
        if self._connected and grad_state.enabled:
            if self._storage.expression.tracked:
                self._storage.viewed = True
                view._has_node = True
                if self._geometry is not None and not self._is_older_than_leaf():
                    self._has_node = True
                    if self._retains_grad:
                        self._read()  # of its present value, which the view is made of
        else:
            view._connected = False
            if not grad_state.enabled:
                view._without_recording = True
                if grad_state.inference:
                    view._in_inference = True
            else:
                inner = self._marker is not None or self._parent is None
                view._parent = parent = self if inner else self._parent
                assert parent is not None
                if parent._marker is not None:
                    self._has_node = view._has_node = True
                if parent._reaches_out:
                    view._refused_write = parent._refused_write
                if self._of_function is not None:
                    if self.requires_grad:
                        self._refuse_changed()
                    view._of_function = (name, 0, self._of_function[2])
                if self._without_recording or self._of_unrecorded:
                    view._of_unrecorded = True
                    if self.requires_grad:
                        self._read()  # makes it the leaf that the view is of
                        view._refused_write = refusal_of_inner(name)
                    else:  # as if made there too
                        view._without_recording, view._parent = True, None
        if self._one_of is not None:
            if self.requires_grad:
                self._refuse_changed()
            view._one_of = (name, 0, None)
        return view


class _Eager:
    """Set while arguments are read: the call under way must run before anything else happens."""

    wanted = False


eager = _Eager()


# The value of no storage: a leaf that has not been read yet.
UNREAD = new_expression(TensorType((), dt.float32), "cpu")


def wrap(expression: Expression, layout: layouts.Layout | None = None) -> Tensor:
    """A new tensor that owns this value."""
    made = object.__new__(Tensor)
    made._storage, made._type = new_storage(expression, layout), expression.type
    made._geometry = made._marker = None  # found sooner than the class's
    return made


# What an instance's __dict__ holds besides what its user hung on it.
OWN_ATTRIBUTES = frozenset(
    [
        *HostValues.__annotations__, *Tensor.__annotations__, *vars(Tensor), "_accumulator",
        "_node_hooks", "_node_metadata", "_post_accumulate_hooks",
    ]
)  # fmt: skip

# What Tensor(...) calls: functions/creation.py puts it here.
legacy_constructor: list[Any] = []
# Called when a program makes a class of tensors of its own: overrides.py puts one here.
subclassed: list[Any] = []


__all__ = [
    "OWN_ATTRIBUTES", "Device", "ExportedMemory", "Geometry", "Overwritten", "Tensor", "eager",
    "record", "subclassed", "wrap", "wrap_dim",
]  # fmt: skip
