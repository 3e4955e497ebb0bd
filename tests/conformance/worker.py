"""A worker process: numbers of operators and of their pieces come in, findings go out.

Workers are forked from one process that has imported this, and with it both libraries and the
database, once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

os.environ.setdefault("LAZYTORCH_TUNE", "0")

import torch

import lazytorch
from codegen.render.source import KernelSource
from codegen.runtime import kernels

from . import check, database, transforms

torch.set_num_threads(1)
OPERATORS = database.operators()


def work(connection: Connection, options: check.Options) -> None:
    """Check the operators whose numbers (and pieces) come in; send the findings back.

    What is to be compiled is sent as well: the pool compiles for all workers.
    """

    def compile_elsewhere(missing: Mapping[str, KernelSource]) -> None:
        connection.send(dict(missing))
        connection.recv()

    kernels.compile_elsewhere = compile_elsewhere
    lazytorch.set_num_threads(1)
    lazytorch.set_default_device(options.device)
    chosen = isinstance(options, transforms.TransformOptions)
    judge: Any = transforms.check if chosen else check.check
    connection.send("ready")
    while True:
        try:
            number, piece = connection.recv()
        except EOFError:
            return
        connection.send(judge(OPERATORS[number], dataclasses.replace(options, piece=piece)))
