"""Checks that hold of every call that these tests make."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pytest
from devices import GIVEN

import lazytorch.functions  # noqa: F401
from lazytorch.defaults import set_default_device
from lazytorch.expression import Signature, all_functions
from lazytorch.records import native


def exactly(attributes: Hashable) -> Hashable:
    """Attributes so spelled that 1, 1.0 and True differ, and 0.0 from -0.0."""
    if isinstance(attributes, tuple):
        return tuple([exactly(a) for a in attributes])
    return (type(attributes), repr(attributes) if type(attributes) is float else attributes)


class ExactTable(dict[Any, Signature]):
    """A function's signatures, found under just the attributes that they were made for.

    1, 1.0 and True are one key of a dict, so operations convert each attribute to its type.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        found = super().get(key, default)
        if found is not None:
            assert exactly(found.attributes) == exactly(key[1]), (
                f"{found.function} was made for {found.attributes} and is called with {key[1]}"
            )
        return found


@pytest.fixture(scope="session", autouse=True)
def native_records() -> None:
    """Have records.c do from the start what it can; test_records.py compares it with Python."""
    native.load()


@pytest.fixture(scope="session", autouse=True)
def exact_attributes() -> Iterator[None]:
    for function in all_functions():
        function.signatures = ExactTable(function.signatures)
    yield
    for function in all_functions():
        function.signatures = dict(function.signatures)


@pytest.fixture(autouse=True)
def on_the_given_device(request: pytest.FixtureRequest) -> Iterator[None]:
    """What tests make without saying where is made on the device that was asked for."""
    if GIVEN and request.node.get_closest_marker("host") is None:
        set_default_device(GIVEN)
    yield
    set_default_device("cpu")
