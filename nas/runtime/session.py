"""An exported network in onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nas.arrays import Pixels
from nas.codecs.normalise import normalise
from nas.errors import UserError
from nas.files import require_file
from nas.runtime.model import PoseModel
from nas.shipped import network_file

_LONGEST_REASON = 300


class OnnxModel(PoseModel):
    """A pose network exported by this project; the file alone says what it is, and what it takes.

    There is no flip test: mirrored outputs are joined before decoding, which lies inside the file.

    Args:
        path: the ONNX file, or the name of a network that ships.
        threads: CPU threads that one run uses.

    Raises:
        UserError: the file is missing, is not a sound ONNX model, was not exported by this project, or its
            metadata do not fit its graph.
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        from nas.codecs.exported import ExportedNetwork

        self.path = network_file(path)
        self._session = open_network(self.path, threads)
        network = ExportedNetwork.of(self._session, str(self.path))
        if network is None:
            raise UserError(
                f"{path}: this ONNX file was not written by `nas export`, it does not say what it finds"
            )
        super().__init__(network.arch, network.skeleton, source=str(self.path), padding=network.padding)
        self.scored = network.scored
        """Whether scores are measured; where not, the head says 1 of all that it finds."""
        self._mean = np.asarray(network.mean, np.float32)
        self._std = np.asarray(network.std, np.float32)
        self._raw_scores = not network.score_scale
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._batch = network.batch
        self._pixels = network.pixels

    @property
    def threads(self) -> int:
        """CPU threads that one run uses."""
        return int(self._session.get_session_options().intra_op_num_threads)

    @threads.setter
    def threads(self, threads: int) -> None:
        self._session = open_network(self.path, threads)

    def candidates(self, images: Pixels) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3] of the network's resolution, what its codec groups.

        All run at once where the file's batch axis is open, else as many as the file takes.

        Raises ValueError for images of another size, UserError where onnxruntime cannot run the graph.
        """
        if images.shape[1:] != (*self.resolution, 3):
            raise ValueError(f"images of {images.shape[1:]} for a network of {(*self.resolution, 3)}")
        size = max(len(images), 1) if self._batch is None else self._batch
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        return [found for part in parts for found in self._run(part, size)]

    def _run(self, images: Pixels, size: int) -> list[dict[str, NDArray[Any]]]:
        outputs = run_network(self._session, {self._input: self._fed(images, size)}, self.path)
        return [
            self._found({name: output[row] for name, output in zip(self._outputs, outputs, strict=True)})
            for row in range(len(images))
        ]

    def _fed(self, images: Pixels, size: int) -> NDArray[Any]:
        """At most `size` images as the file takes them; black ones fill what is missing."""
        if len(images) < size:
            missing = np.zeros((size - len(images), *images.shape[1:]), np.uint8)
            images = np.concatenate([images, missing])
        if self._pixels:
            return np.ascontiguousarray(images)
        return normalise(images, mean=self._mean, std=self._std)

    def _found(self, outputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        found = self._finite(outputs)
        return self.codec.confident(found) if self._raw_scores else found


def open_network(path: Path, threads: int) -> Any:
    """An onnxruntime session on the CPU.

    Raises UserError where there is no such file, or onnxruntime cannot load it.
    """
    if threads < 1:
        raise UserError(f"a model needs at least one thread, got {threads}")
    require_file(path, "model")
    if path.suffix == ".safetensors":
        raise UserError(f"{path}: these are weights; `nas export` writes a network of them that can be run")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(_named(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise UserError(f"{path}: onnxruntime cannot load it: {_reason(error)}") from None


def run_network(session: Any, feed: Mapping[str, NDArray[Any]], path: Path) -> list[NDArray[Any]]:
    """All outputs of a session. Raises UserError where onnxruntime cannot run the graph."""
    try:
        outputs: list[NDArray[Any]] = session.run(None, dict(feed))
    except Exception as error:  # as above
        raise UserError(f"{path}: onnxruntime cannot run it: {_reason(error)}") from None
    return outputs


def takes_any_batch(session: Any) -> bool:
    """Whether the first axis of a session's input is open."""
    return not isinstance(session.get_inputs()[0].shape[0], int)


def _named(path: Path) -> Path | bytes:
    """The path; of a name that is no Unicode, which onnxruntime cannot open, the content."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
