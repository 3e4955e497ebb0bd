"""Parts of PyTorch that are left out, by name: ``torch.fx``, ``torch.distributed.tensor``, ….

Libraries import them to ask whether something is one of theirs: ``isinstance(x, DTensor)``. Nothing
here ever is, and that is the answer that they get. Making one, or calling what is left out, raises
NotImplementedError. Other modules and names that lazytorch lacks cannot be imported at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

_SHARDED = (
    "CPUOffload FullOptimStateDictConfig FullStateDictConfig MixedPrecision BackwardPrefetch "
    "ShardedOptimStateDictConfig ShardedStateDictConfig ShardingStrategy StateDictType"
)
_PLACEMENTS = "=Partial =Placement =Replicate =Shard"
_TENSORS = f"DTensor {_PLACEMENTS} distribute_module distribute_tensor"

# Capitalized names are types without instances, after = those that describe
# how to use the part, which may be made; the others are functions that refuse.
_NAMES = {
    "_inductor": "",
    "_inductor.config": "",
    "_inductor.utils": "",
    "_subclasses": "FakeTensor FakeTensorMode",
    "_subclasses.fake_tensor": "FakeTensor FakeTensorMode",
    "distributed._composable": "",
    "distributed._composable.fsdp": "FSDPModule fully_shard",
    "distributed._functional_collectives": (
        "AsyncCollectiveTensor all_gather_tensor all_reduce all_to_all_single "
        "all_to_all_single_autograd reduce_scatter_tensor wait_tensor"
    ),
    "distributed._tensor": _TENSORS,
    "distributed._tensor.experimental": "implicit_replication",
    "distributed.algorithms": "",
    "distributed.algorithms._checkpoint": "",
    "distributed.algorithms._checkpoint.checkpoint_wrapper": (
        "CheckpointImpl CheckpointWrapper apply_activation_checkpointing checkpoint_wrapper "
        "offload_wrapper"
    ),
    "distributed.algorithms.join": "Join Joinable JoinHook",
    "distributed.algorithms.model_averaging": "",
    "distributed.algorithms.model_averaging.averagers": "ModelAverager",
    "distributed.checkpoint": (
        "FileSystemReader FileSystemWriter load load_state_dict save save_state_dict"
    ),
    "distributed.checkpoint.default_planner": "DefaultLoadPlanner DefaultSavePlanner",
    "distributed.checkpoint._consolidate_hf_safetensors": "consolidate_safetensors_files",
    "distributed.checkpoint.format_utils": "dcp_to_torch_save torch_save_to_dcp",
    "distributed.checkpoint.hf_storage": "HuggingFaceStorageReader HuggingFaceStorageWriter",
    "distributed.checkpoint.state_dict": (
        "=StateDictOptions get_model_state_dict get_optimizer_state_dict get_state_dict "
        "set_model_state_dict set_optimizer_state_dict set_state_dict"
    ),
    "distributed.device_mesh": "DeviceMesh init_device_mesh",
    "distributed.elastic": "",
    "distributed.elastic.multiprocessing": "",
    "distributed.elastic.multiprocessing.errors": "ChildFailedError",
    "distributed.fsdp": (
        f"{_SHARDED} CPUOffloadPolicy FSDPModule FullyShardedDataParallel MixedPrecisionPolicy "
        "OffloadPolicy OptimStateKeyType fully_shard"
    ),
    "distributed.fsdp.api": _SHARDED,
    "distributed.fsdp.fully_sharded_data_parallel": (
        f"{_SHARDED} FullyShardedDataParallel OptimStateKeyType"
    ),
    "distributed.fsdp.sharded_grad_scaler": "ShardedGradScaler",
    "distributed.fsdp.wrap": (
        "ModuleWrapPolicy enable_wrap size_based_auto_wrap_policy transformer_auto_wrap_policy wrap"
    ),
    "distributed.optim": "DistributedOptimizer PostLocalSGDOptimizer ZeroRedundancyOptimizer",
    "distributed.pipelining": "ScheduleGPipe SplitPoint pipeline",
    "distributed.rpc": "RRef",
    "distributed.tensor": _TENSORS,
    "distributed.tensor._utils": "compute_local_shape_and_global_offset",
    "distributed.tensor.experimental": "context_parallel",
    "distributed.tensor.parallel": (
        "=ColwiseParallel ParallelStyle =PrepareModuleInput =PrepareModuleOutput =RowwiseParallel "
        "=SequenceParallel parallelize_module"
    ),
    "distributed.tensor.placement_types": f"{_PLACEMENTS} =_StridedShard",
    "fx": "Graph GraphModule Interpreter Node Proxy Tracer symbolic_trace",
    "fx._symbolic_trace": "Tracer symbolic_trace",
    "fx.experimental": "",
    "fx.experimental.proxy_tensor": "make_fx",
    "fx.experimental.symbolic_shapes": "ShapeEnv",
    "fx.graph": "Graph",
    "fx.graph_module": "GraphModule",
    "fx.node": "Node",
    "fx.proxy": "Proxy",
    "mps": "current_allocated_memory",
    "mtia": "",
    "onnx": "ONNXProgram OnnxExporterError export",
    "utils.cpp_extension": "BuildExtension CppExtension CUDAExtension load load_inline",
    "xpu": "",
}

# What modules that are there leave out.
_PARTS = {
    "cuda": (
        "CUDAGraph CUDAPluggableAllocator ExternalStream GreenContext MemPool "
        "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor "
        "IntTensor LongTensor ShortTensor "
        "graph graph_pool_handle make_graphed_callables use_mem_pool"
    ),
    "distributed": "DeviceMesh init_device_mesh",
}


def _same(value: Any) -> Any:
    return value


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _zero() -> int:
    return 0


# What can be answered without the part.
_NO_DEVICES: dict[str, Any] = {
    "is_available": _no, "is_initialized": _no, "device_count": _zero, "empty_cache": _nothing,
    "synchronize": _nothing, "manual_seed": _nothing, "manual_seed_all": _nothing,
    "is_bf16_supported": _no,
}  # fmt: skip
_ANSWERS: dict[str, dict[str, Any]] = {
    "_subclasses.fake_tensor": {"is_fake": _no},
    "cuda": {"is_current_stream_capturing": _no, "is_tf32_supported": _no, "has_magma": False},
    "fx": {"wrap": _same},
    "fx._symbolic_trace": {"is_fx_tracing": _no, "wrap": _same},
    "fx.experimental.proxy_tensor": {"get_proxy_mode": _nothing},
    "fx.experimental.symbolic_shapes": {
        "guard_or_false": bool, "guard_or_true": bool, "statically_known_true": bool,
        "free_symbols": lambda value: set(), "free_unbacked_symbols": lambda value: set(),
    },
    "mps": {
        n: _NO_DEVICES[n]
        for n in ("is_available", "device_count", "empty_cache", "synchronize", "manual_seed")
    },
    "mtia": _NO_DEVICES,
    "onnx": {"is_in_onnx_export": _no},
    "xpu": _NO_DEVICES,
}  # fmt: skip

# Those that ``torch`` itself shows as soon as it is imported.
AT_THE_TOP = ("_inductor", "_subclasses", "fx", "mps", "mtia", "onnx", "xpu")


class _NoInstances(type):
    """The type of a type that has no instances."""

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{cls.__module__}.{cls.__name__} is not in lazytorch")


class _Description:
    """What some part was to be told; nothing reads it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._args = args
        vars(self).update(options)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def _refusing(module: str, name: str) -> Callable[..., NoReturn]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{module}.{name} is not in lazytorch")

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.is_left_out = True  # type: ignore[attr-defined]
    return function


_types: dict[tuple[str, str], type] = {}


def _type(module: str, name: str) -> type:
    """One type a name, whichever module of a package shows it."""
    key = module.partition(".")[2].partition(".")[0], name
    if key not in _types:
        members = {"__module__": module, "is_left_out": True}
        described = type(name[1:], (_Description,), members) if name[0] == "=" else None
        _types[key] = described or _NoInstances(name, (), members)
    return _types[key]


def left_out(module: str) -> dict[str, Any]:
    """The names that a module shows for what is left out of it."""
    public = f"torch.{module}".rstrip(".")
    names = (_NAMES[module] if module in _NAMES else _PARTS[module]).split()
    found: dict[str, Any] = {
        name.lstrip("="): (_type if name.lstrip("=_")[0].isupper() else _refusing)(public, name)
        for name in names
    }
    return found | _ANSWERS.get(module, {})


class AbsentFinder(MetaPathFinder, Loader):
    """Finds the modules that are here by name alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, rest = fullname.partition(".")
        if root != "lazytorch" or rest not in _NAMES:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        rest = module.__name__.partition(".")[2]
        module.__doc__ = f"torch.{rest}, which lazytorch leaves out."
        vars(module).update(left_out(rest))


sys.meta_path.append(AbsentFinder())
