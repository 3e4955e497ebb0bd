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


def read_by_mixed(signature: Signature, first: int, then: int) -> frozenset[int]:
    """The numbers of the inputs that the second derivative of such a call by one input, ``first``,
    and another reads: of ``exp(x) - x * y`` by both none, though it is no product."""
    known = signature.mixed.get((first, then))
    if known is None:
        known = signature.mixed[first, then] = _find_read_by_mixed(signature, first, then)
    return known


def _find_read_by_mixed(signature: Signature, first: int, then: int) -> frozenset[int]:
    if _has_rules_of_its_own(signature):
        return frozenset(range(len(signature.input_types)))
    inputs = signature.template.parameters
    outputs, seeds = _outputs_and_seeds(signature)
    (gradient,) = inline_plain(cotangents(outputs, seeds, {}, [inputs[first]]))
    arriving = parameter(2000, gradient.type)
    mixed = cotangents([gradient], [arriving], {}, [inputs[then]])
    read = set(topological(mixed, stop=lambda node: not node.dtype.differentiable))
    return frozenset([i for i, p in enumerate(inputs) if p in read])


def _has_rules_of_its_own(signature: Signature) -> bool:
    """Whether nothing is to be learnt from the body of such a call."""
    function = signature.function
    # PyTorch's gradient of a power is a power, whatever the exponent.
    if function in (GRADIENT, TANGENT, core.CUSTOM) or function.gradient_name == "PowBackward0":
        return True
    # Without elements everything is constant, but to PyTorch.
    return not all([t.size for t in (*signature.input_types, *signature.output_types)])


def _outputs_and_seeds(signature: Signature) -> tuple[list[Node], list[Node]]:
    """What such a call gives that can be differentiated, and what arrives there."""
    template = signature.template
    if template.gradient is None:
        outputs: Sequence[Node] = inline_plain(template.outputs)
    else:
        count = len(template.outputs)
        outputs = [call_node(template, template.parameters, i) for i in range(count)]
    outputs = [o for o in outputs if o.dtype.differentiable]
    return outputs, [parameter(1000 + i, o.type) for i, o in enumerate(outputs)]


def _second_derivatives(signature: Signature) -> tuple[bool, bool, bool]:
    known = signature.second_derivatives
    if known is None:
        known = signature.second_derivatives = _find_second_derivatives(signature)
    return known


def _find_second_derivatives(signature: Signature) -> tuple[bool, bool, bool]:
    if _has_rules_of_its_own(signature):
        return False, False, False
    template = signature.template
    inputs = [p for p in template.parameters if p.dtype.differentiable and not p.type.weak]
    outputs, seeds = _outputs_and_seeds(signature)
    first = inline_plain(cotangents(outputs, seeds, {}, inputs))
    constant = set(topological(first)).isdisjoint(seeds)
    arriving = [parameter(2000 + i, g.type) for i, g in enumerate(first)]
    second = cotangents(first, arriving, {}, inputs)
    read = set(topological(second, stop=lambda node: not node.dtype.differentiable))
    reads_no_input = read.isdisjoint(inputs)
    return reads_no_input, reads_no_input and read.isdisjoint(arriving), constant
