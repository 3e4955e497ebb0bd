"""What ``import torch`` finds in a process that a script under ``lazytorch run`` has started anew
(multiprocessing's 'spawn'): the first import puts the engine in its place."""

import sys

from lazytorch.__main__ import stand_in_for_torch

del sys.modules["torch"]
stand_in_for_torch()
