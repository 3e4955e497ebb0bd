"""Nested containers as a flat list of leaves and a description of the nesting.

Containers are lists, tuples, named tuples, dictionaries (also ordered and default ones), deques,
and classes that ``register_pytree_node`` enters. Everything else, None too, is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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


class namedtuple:  # the name by which specs show every named tuple
    """Stands for all named tuple classes."""


def _dictionary_context(d: Any) -> list[Any]:
    return list(d.keys())


def _sorted_items(d: dict[Any, Any]) -> tuple[list[Any], Any]:
    return list(d.values()), _dictionary_context(d)


_containers: dict[Any, tuple[FlattenFunction, UnflattenFunction]] = {
    list: (lambda x: (list(x), None), lambda values, _: list(values)),
    tuple: (lambda x: (list(x), None), lambda values, _: tuple(values)),
    namedtuple: (lambda x: (list(x), type(x)), lambda values, made: made(*values)),
    dict: (_sorted_items, lambda values, keys: dict(zip(keys, values, strict=True))),
    OrderedDict: (
        _sorted_items, lambda values, keys: OrderedDict(zip(keys, values, strict=True)),
    ),
    defaultdict: (
        lambda x: (list(x.values()), [x.default_factory, _dictionary_context(x)]),
        lambda values, context: defaultdict(
            context[0], zip(context[1], values, strict=True)
        ),
    ),
    deque: (
        lambda x: (list(x), x.maxlen), lambda values, length: deque(values, maxlen=length),
    ),
}  # fmt: skip


def register_pytree_node(
    cls: type, flatten_fn: FlattenFunction, unflatten_fn: UnflattenFunction, **_options: Any
) -> None:
    """Make a class a container: ``flatten_fn(x)`` gives (children, context), and
    ``unflatten_fn(children, context)`` puts them together again."""
    if cls in _containers:
        raise ValueError(f"{cls} is already registered as pytree node. Overwriting is not allowed.")
    _containers[cls] = flatten_fn, unflatten_fn


def _kind(tree: Any) -> Any:
    kind = type(tree)
    if kind in _containers:
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
    children, context = _containers[kind][0](tree)
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
        return _containers[spec.type][1](children, spec.context)

    return build(treespec)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    return tree_flatten(tree, is_leaf)[1]


def tree_map(function: Callable[..., Any], tree: Any, *rests: Any) -> Any:
    """The tree with ``function`` applied to each leaf (and to those of further trees there)."""
    leaves, spec = tree_flatten(tree)
    others = [_leaves_under(spec, rest) for rest in rests]
    return tree_unflatten([function(*each) for each in zip(leaves, *others, strict=True)], spec)


def tree_map_only(kind: Any, function: Callable[[Any], Any], tree: Any) -> Any:
    """As ``tree_map``, of the leaves of one type alone."""
    return tree_map(lambda x: function(x) if isinstance(x, kind) else x, tree)


def _leaves_under(spec: TreeSpec, tree: Any) -> list[Any]:
    """The subtrees of a tree where ``spec`` has leaves."""
    if spec.is_leaf():
        return [tree]
    kind = _kind(tree)
    if kind is not spec.type:
        raise ValueError(f"Node type mismatch; expected {spec.type!r}, but got {type(tree)!r}.")
    children, _ = _containers[kind][0](tree)
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
    children, context = _containers[kind][0](tree)
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


Leaves = Sequence[Any]
