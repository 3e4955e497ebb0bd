"""What is known of the second derivatives of a call by its signature alone."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, topological
from codegen.ops.calls import call as call_node
from codegen.ops.leaves import parameter
from lazytorch import core
from lazytorch.expression import Signature
from lazytorch.importer import GRADIENT, TANGENT


def is_bilinear(signature: Signature) -> bool:
    """Whether the second derivatives of such a call read none of its values, as a product's."""
    return _second_derivatives(signature)[0]


def is_piecewise_linear(signature: Signature) -> bool:
    """Whether the second derivatives of such a call are constant, as an absolute value's: they do
    not depend on what arrives either, as those do that PyTorch computes from saved inputs."""
    return _second_derivatives(signature)[1]


def passes_nothing(signature: Signature) -> bool:
    """Whether the gradients of such a call are constant whatever arrives, as a rounding's."""
    return _second_derivatives(signature)[2]


def _second_derivatives(signature: Signature) -> tuple[bool, bool, bool]:
    known = signature.second_derivatives
    if known is None:
        known = signature.second_derivatives = _find_second_derivatives(signature)
    return known


def _find_second_derivatives(signature: Signature) -> tuple[bool, bool, bool]:
    function, template = signature.function, signature.template
    # PyTorch's gradient of a power is a power, whatever the exponent.
    if function in (GRADIENT, TANGENT, core.CUSTOM) or function.gradient_name == "PowBackward0":
        return False, False, False
    if not all([t.size for t in (*signature.input_types, *signature.output_types)]):
        return False, False, False  # without elements everything is constant, but to PyTorch
    inputs = [p for p in template.parameters if p.dtype.differentiable and not p.type.weak]
    if template.gradient is None:
        outputs: Sequence[Node] = inline_plain(template.outputs)
    else:
        count = len(template.outputs)
        outputs = [call_node(template, template.parameters, i) for i in range(count)]
    outputs = [o for o in outputs if o.dtype.differentiable]
    seeds = [parameter(1000 + i, o.type) for i, o in enumerate(outputs)]
    first = inline_plain(cotangents(outputs, seeds, {}, inputs))
    constant = set(topological(first)).isdisjoint(seeds)
    arriving = [parameter(2000 + i, g.type) for i, g in enumerate(first)]
    second = cotangents(first, arriving, {}, inputs)
    read = set(topological(second, stop=lambda node: not node.dtype.differentiable))
    reads_no_input = read.isdisjoint(inputs)
    return reads_no_input, reads_no_input and read.isdisjoint(arriving), constant
