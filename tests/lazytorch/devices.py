"""The device that the tests run on: LAZYTORCH_TEST_DEVICE, or each test's own choice.

LAZYTORCH_TEST_DEVICE=opencl python -m pytest tests/lazytorch --share 1/10
"""

from __future__ import annotations

import os

GIVEN = os.environ.get("LAZYTORCH_TEST_DEVICE", "")
# Thousands of small plans: the interpreter runs each at once. "cpu" checks the generated C.
FUNCTIONS = GIVEN or "interpreter"
# Where generated code is what is tested.
COMPILED = GIVEN or "cpu"
