"""The mode in which mask functions index by tensors under vmap; indexing here always may."""

from contextlib import nullcontext


class TransformGetItemToIndex(nullcontext[None]):
    """A context in which indexing is as always."""
