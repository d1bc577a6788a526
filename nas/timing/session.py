"""onnxruntime sessions as they are timed: options that matter are set here and recorded with timings."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import UserError

PROVIDER = "CPUExecutionProvider"
SESSION_OPTIONS: tuple[tuple[str, str], ...] = (
    ("arena", "on"),
    ("execution", "sequential"),
    ("optimisations", "all"),
    ("provider", PROVIDER),
)

_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
_INPUT_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def runtime_version() -> str:
    """The installed onnxruntime's version, read without importing it."""
    for distribution in _DISTRIBUTIONS:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    try:
        import onnxruntime
    except ImportError:
        raise UserError("onnxruntime is not installed; install it with: pip install onnxruntime") from None
    return str(onnxruntime.__version__)


def open_session(model: bytes, *, threads: int, name: str, profile: Path | None = None) -> Any:
    """An `onnxruntime.InferenceSession` of a serialised model with `SESSION_OPTIONS`.

    Args:
        model: the serialised ONNX model.
        threads: intra-op and inter-op threads.
        name: what the model is called in messages.
        profile: prefix of the profile file; None runs without profiling.

    Raises:
        UserError: where onnxruntime cannot load the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = True
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
    # onnxruntime's exceptions share no base class below Exception.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{name}: onnxruntime cannot load the model ({reason}); check the ONNX file"
        ) from error


def random_feed(session: Any, rng: np.random.Generator, *, name: str) -> dict[str, NDArray[Any]]:
    """Random values for every input of a session; an open first axis (the batch) becomes 1.

    Raises UserError where another axis is open or an input's type cannot be filled.
    """
    feed = {}
    for node in session.get_inputs():
        dtype = _INPUT_TYPES.get(node.type)
        if dtype is None:
            raise UserError(f"{name}: input {node.name!r} has type {node.type}, which cannot be timed")
        shape = list(node.shape)
        if shape and not isinstance(shape[0], int):
            shape[0] = 1
        if not all(isinstance(size, int) for size in shape):
            raise UserError(f"{name}: input {node.name!r} has open sizes {node.shape}; export fixed ones")
        values = rng.random(shape, dtype=np.float32)
        feed[node.name] = (values * 255 if np.issubdtype(dtype, np.integer) else values).astype(dtype)
    return feed
