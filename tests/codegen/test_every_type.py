"""Every operation on every element type that it takes: interpreter, C and OpenCL agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, make
from codegen.ops.leaves import parameter
from codegen.ops.registry import OPERATIONS, Array, Operation, Sample
from codegen.pipeline import Graph
from codegen.runtime.compiler import find_compiler
from codegen.runtime.interpreter import from_buffer, to_buffer
from codegen.runtime.opencl import find_device
from codegen.runtime.opencl.device import is_pocl
from tests.codegen.graphs import assert_same, run_compiled, run_interpreted, run_opencl
from tests.codegen.test_opencl import PROBLEM
from tests.codegen.test_operations import make_inputs

# What these do does not depend on what an element means.
_OF_ANY_TYPE = ("movement", "gather", "write", "sort")
# Larger samples are of algorithms that are chosen by size.
_LARGEST = 300
_TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2}


def retyped(sample: Sample, dtype: DType) -> Sample:
    """The sample with ``dtype`` in the place of its values' type: that of its last input if the
    first is a condition, else that of the first."""
    of_values = sample.inputs[-1 if sample.inputs[0][1] == "bool_" else 0][1]
    inputs = []
    for shape, name, low, high in sample.inputs:
        if name == of_values:
            name = dtype.name
            if dtype.kind == "int":
                low, high = np.clip((low, high + 1), *_limits(dtype))
        inputs.append((shape, name, float(low), float(high)))
    return Sample(tuple(inputs), sample.attributes)


def _limits(dtype: DType) -> tuple[int, int]:
    information = np.iinfo(dtype.numpy)
    return max(int(information.min), -(1 << 40)), min(int(information.max), 1 << 40)


def cases(dtype: DType) -> Iterator[tuple[Operation, Sample]]:
    """Operations with a sample whose values are of this type."""
    for operation in OPERATIONS.values():
        kinds = {dt.BY_NAME[name].kind for s in operation.samples for _, name, *_ in s.inputs[-1:]}
        if operation.kind not in _OF_ANY_TYPE and dtype.kind not in kinds:
            continue
        if operation.kind == "host" and dtype not in (dt.float32, dt.float64):
            continue  # LAPACK's types
        seen = set()
        for sample in operation.samples:
            small = all(np.prod(shape) <= _LARGEST for shape, *_ in sample.inputs)
            new = retyped(sample, dtype)
            form = (*[(shape, name) for shape, name, *_ in new.inputs], *new.attributes)
            if small and form not in seen:
                seen.add(form)
                yield operation, new


def graph_of(dtype: DType) -> tuple[Graph, list[Array], list[str]]:
    """All cases of a type in one graph, since a build costs more than many kernels."""
    parameters: list[Node] = []
    arrays: list[Array] = []
    outputs: list[Node] = []
    names: list[str] = []
    for operation, sample in cases(dtype):
        nodes, values = make_inputs(sample, wide=False)
        numbered = [parameter(len(parameters) + i, n.type) for i, n in enumerate(nodes)]
        parameters += numbered
        arrays += [
            from_buffer(to_buffer(v, n.type), n.type) for v, n in zip(values, nodes, strict=True)
        ]
        outputs.append(make(operation, tuple(numbered), sample.attributes))
        names.append(f"{operation.name} {sample}")
    return Graph(tuple(parameters), tuple(outputs)), arrays, names


@pytest.mark.parametrize("device", ["c", "opencl"])
@pytest.mark.parametrize("dtype", dt.ALL, ids=lambda d: d.name)
def test_every_operation(dtype: DType, device: str) -> None:
    if device == "c" and find_compiler() is None:
        pytest.skip("there is no C compiler")
    if device == "opencl" and PROBLEM:
        pytest.skip(PROBLEM)
    graph, arrays, names = graph_of(dtype)
    run = run_compiled if device == "c" else run_opencl
    found: Sequence[Array] = run(graph, arrays)
    if device == "opencl" and is_pocl(find_device(device).handle):
        # Else a text needed a function of OpenCL's that render/opencl.py does not declare.
        assert find_device(device).bare_options
    wanted = run_interpreted(graph, arrays)
    for name, got, want in zip(names, found, wanted, strict=True):
        assert_same(got, want, name, _TOLERANCE.get(dtype.name, 2e-5))
