"""Nested containers as a flat list of leaves and a description of the nesting.

Containers are lists, tuples, named tuples, dictionaries (also ordered and default ones), deques,
and classes that ``register_pytree_node`` enters. Everything else, None too, is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple

FlattenFunction = Callable[[Any], tuple[list[Any], Any]]
UnflattenFunction = Callable[[Iterable[Any], Any], Any]


@dataclass(frozen=True)
class TreeSpec:
    """The nesting of a tree: a container's type, what it is made with besides its children, and
    their specs. ``type`` is None for a leaf."""

    type: Any
    context: Any
    children_specs: tuple[TreeSpec, ...] = ()

    @property
    def num_leaves(self) -> int:
        return 1 if self.is_leaf() else sum([c.num_leaves for c in self.children_specs])

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def is_leaf(self) -> bool:
        return self.type is None

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        inner = indent + 2
        children = [c.__repr__(inner) for c in self.children_specs]
        text = f"TreeSpec({getattr(self.type, '__name__', self.type)}, {self.context}, ["
        if children:
            text += children[0] + ("," if len(children) > 1 else "")
        if len(children) > 1:
            rest = [" " * inner + c for c in children[1:]]
            text += "\n" + ",\n".join(rest)
        return text + "])"


LEAF = TreeSpec(None, None)


def LeafSpec() -> TreeSpec:
    """The spec of a leaf."""
    return LEAF


# ---- where a leaf is: the steps from the root --------------------------------------------------


@dataclass(frozen=True)
class MappingKey:
    """A dictionary's entry."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


@dataclass(frozen=True)
class SequenceKey:
    """A place in a sequence."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        return sequence[self.idx]


@dataclass(frozen=True)
class GetAttrKey:
    """An attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        return getattr(obj, self.name)


KeyPath = tuple[Any, ...]


def keystr(kp: KeyPath) -> str:
    """The steps as Python spells them: ``['a'][0]``."""
    return "".join([str(k) for k in kp])


def key_get(obj: Any, kp: KeyPath) -> Any:
    """What stands at the end of these steps."""
    for key in kp:
        obj = key.get(obj)
    return obj


# ---- containers --------------------------------------------------------------------------------


class NodeDef(NamedTuple):
    """How objects of a type are taken apart and put together."""

    type: Any
    flatten_fn: FlattenFunction
    unflatten_fn: UnflattenFunction
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None = None


class namedtuple:  # the name by which specs show every named tuple
    """Stands for all named tuple classes."""


def _dict_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d.values()), list(d.keys())


def _dict_unflatten(values: Iterable[Any], context: Any) -> dict[Any, Any]:
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    values, context = _dict_flatten(d)
    return [(MappingKey(k), v) for k, v in zip(context, values, strict=True)], context


def _sequence_flatten(x: Any) -> tuple[list[Any], Any]:
    return list(x), None


def _sequence_flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(SequenceKey(i), v) for i, v in enumerate(x)], None


def _defaultdict_flatten(d: Any) -> tuple[list[Any], Any]:
    values, context = _dict_flatten(d)
    return values, [d.default_factory, context]


def _keyed(
    flatten: FlattenFunction, keys: Callable[[Any], Iterable[Any]]
) -> Callable[[Any], tuple[list[tuple[Any, Any]], Any]]:
    def flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
        values, context = flatten(x)
        return list(zip(keys(x), values, strict=True)), context

    return flatten_with_keys


def _entries(x: Any) -> list[Any]:
    return [MappingKey(k) for k in x]


def _named_flatten(x: Any) -> tuple[list[Any], Any]:
    return list(x), type(x)


def _deque_flatten(x: Any) -> tuple[list[Any], Any]:
    return list(x), x.maxlen


SUPPORTED_NODES: dict[Any, NodeDef] = {
    d.type: d
    for d in (
        NodeDef(list, _sequence_flatten, lambda values, _: list(values),
                _sequence_flatten_with_keys),
        NodeDef(tuple, _sequence_flatten, lambda values, _: tuple(values),
                _sequence_flatten_with_keys),
        NodeDef(namedtuple, _named_flatten, lambda values, made: made(*values),
                _keyed(_named_flatten, lambda x: [GetAttrKey(f) for f in x._fields])),
        NodeDef(dict, _dict_flatten, _dict_unflatten, _dict_flatten_with_keys),
        NodeDef(OrderedDict, _dict_flatten,
                lambda values, keys: OrderedDict(zip(keys, values, strict=True)),
                _dict_flatten_with_keys),
        NodeDef(defaultdict, _defaultdict_flatten,
                lambda values, context: defaultdict(
                    context[0], zip(context[1], values, strict=True)),
                _keyed(_defaultdict_flatten, _entries)),
        NodeDef(deque, _deque_flatten, lambda values, length: deque(values, maxlen=length),
                _keyed(_deque_flatten, lambda x: [SequenceKey(i) for i in range(len(x))])),
    )
}  # fmt: skip
BUILTIN_TYPES = frozenset(SUPPORTED_NODES)


def register_pytree_node(
    cls: type,
    flatten_fn: FlattenFunction,
    unflatten_fn: UnflattenFunction,
    *,
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None = None,
    **_options: Any,
) -> None:
    """Make a class a container: ``flatten_fn(x)`` gives (children, context), and
    ``unflatten_fn(children, context)`` puts them together again."""
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node. Overwriting is not allowed.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


_register_pytree_node = register_pytree_node


def _kind(tree: Any) -> Any:
    kind = type(tree)
    if kind in SUPPORTED_NODES:
        return kind
    return namedtuple if isinstance(tree, tuple) and hasattr(kind, "_fields") else None


def tree_flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree, and its spec.

    >>> tree_flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        return [tree], LEAF
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    leaves: list[Any] = []
    specs = []
    for child in children:
        found, spec = tree_flatten(child, is_leaf)
        leaves += found
        specs.append(spec)
    return leaves, TreeSpec(kind, context, tuple(specs))


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of these leaves."""
    given = list(leaves)
    if len(given) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(given)} but the spec "
            f"refers to a pytree that holds {treespec.num_leaves} items ({treespec})."
        )
    rest = iter(given)

    def build(spec: TreeSpec) -> Any:
        if spec.is_leaf():
            return next(rest)
        children = [build(c) for c in spec.children_specs]
        return SUPPORTED_NODES[spec.type].unflatten_fn(children, spec.context)

    return build(treespec)


def tree_flatten_with_path(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """As ``tree_flatten``, each leaf with the steps that lead to it."""
    _, spec = tree_flatten(tree, is_leaf)
    return list(_with_paths(tree, (), is_leaf)), spec


def _with_paths(
    tree: Any, path: KeyPath, is_leaf: Callable[[Any], bool] | None
) -> Iterator[tuple[KeyPath, Any]]:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        yield path, tree
        return
    flatten = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if flatten is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a "
            "flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in flatten(tree)[0]:
        yield from _with_paths(child, (*path, key), is_leaf)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    return tree_flatten(tree, is_leaf)[0]


def tree_leaves_with_path(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> list[tuple[KeyPath, Any]]:
    return list(_with_paths(tree, (), is_leaf))


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    return iter(tree_leaves(tree, is_leaf))


def tree_is_leaf(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    return (is_leaf is not None and is_leaf(tree)) or _kind(tree) is None


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    return tree_flatten(tree, is_leaf)[1]


def tree_map(
    func: Callable[..., Any],
    tree: Any,
    *rests: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """The tree with ``func`` applied to each leaf (and to those of further trees there)."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [_leaves_under(spec, rest) for rest in rests]
    return tree_unflatten([func(*each) for each in zip(leaves, *others, strict=True)], spec)


def tree_map_(
    func: Callable[..., Any],
    tree: Any,
    *rests: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """``func`` called on each leaf for what it does; the tree as it was."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_with_path(
    func: Callable[..., Any],
    tree: Any,
    *rests: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """As ``tree_map``, ``func`` given each leaf's steps first."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [_leaves_under(spec, rest) for rest in rests]
    results = [func(path, leaf, *more) for (path, leaf), *more in zip(found, *others, strict=True)]
    return tree_unflatten(results, spec)


def _chooser(kind: Any) -> Callable[[Any], bool]:
    """Whether a leaf is meant: by its type, one of several types, or a predicate."""
    if isinstance(kind, type | tuple | UnionType):
        return lambda x: isinstance(x, kind)
    return kind  # type: ignore[no-any-return]


def map_only(kind: Any) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """A decorator: the function does what it did to leaves that are meant, and leaves others."""
    is_meant = _chooser(kind)
    return lambda function: lambda x: function(x) if is_meant(x) else x


def tree_map_only(
    kind: Any,
    func: Callable[[Any], Any],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """As ``tree_map``, of the leaves of one type alone."""
    return tree_map(map_only(kind)(func), tree, is_leaf=is_leaf)


def tree_map_only_(
    kind: Any,
    func: Callable[[Any], Any],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """As ``tree_map_``, of the leaves of one type alone."""
    return tree_map_(map_only(kind)(func), tree, is_leaf=is_leaf)


def tree_all(
    pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> bool:
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(
    pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> bool:
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(
    kind: Any,
    pred: Callable[[Any], bool],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> bool:
    is_meant = _chooser(kind)
    return all([pred(x) for x in tree_leaves(tree, is_leaf) if is_meant(x)])


def tree_any_only(
    kind: Any,
    pred: Callable[[Any], bool],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> bool:
    is_meant = _chooser(kind)
    return any([pred(x) for x in tree_leaves(tree, is_leaf) if is_meant(x)])


def _leaves_under(spec: TreeSpec, tree: Any) -> list[Any]:
    """The subtrees of a tree where ``spec`` has leaves."""
    if spec.is_leaf():
        return [tree]
    kind = _kind(tree)
    if kind is not spec.type:
        raise ValueError(f"Node type mismatch; expected {spec.type!r}, but got {type(tree)!r}.")
    children, _ = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != spec.num_children:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got "
                         f"{len(children)}.")  # fmt: skip
    return [x for s, c in zip(spec.children_specs, children, strict=True)
            for x in _leaves_under(s, c)]  # fmt: skip


def _broadcast_to_and_flatten(
    tree: Any, treespec: TreeSpec, is_leaf: Callable[[Any], bool] | None = None
) -> list[Any] | None:
    """A prefix of a tree as its leaves, each repeated for the leaves below; None where it is no
    prefix."""
    if is_leaf is not None and is_leaf(tree):
        return [tree] * treespec.num_leaves
    kind = _kind(tree)
    if kind is None:
        return [tree] * treespec.num_leaves
    if treespec.is_leaf() or kind is not treespec.type:
        return None
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    result: list[Any] = []
    for child, spec in zip(children, treespec.children_specs, strict=True):
        flat = _broadcast_to_and_flatten(child, spec, is_leaf)
        if flat is None:
            return None
        result += flat
    return result


def treespec_pprint(treespec: TreeSpec) -> str:
    """The spec as a tree whose leaves are stars."""

    class Star:
        def __repr__(self) -> str:
            return "*"

    return repr(tree_unflatten([Star()] * treespec.num_leaves, treespec))


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list[Any]:
    """The leaves of a call's arguments."""
    return tree_leaves((args, kwargs))


PyTree = Any
Context = Any
