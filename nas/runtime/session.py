"""An exported network in onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nas.codecs.exported import ExportedNetwork
from nas.codecs.normalise import normalise
from nas.errors import UserError
from nas.files import require_file
from nas.runtime.model import PoseModel

_LONGEST_REASON = 300


class OnnxModel(PoseModel):
    """A pose network exported by this project; the file alone says what it is.

    There is no flip test: mirrored outputs are joined before decoding, which lies inside the file.

    Args:
        path: the ONNX file.
        threads: CPU threads that one run uses.

    Raises:
        UserError: the file is missing, is not a sound ONNX model, was not exported by this project, or its
            metadata do not fit its graph.
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        self.path = Path(path)
        self._session = _open(self.path, threads)
        network = ExportedNetwork.of(self._session, str(self.path))
        if network is None:
            raise UserError(
                f"{path}: this ONNX file was not written by `nas export`, it does not say what it finds"
            )
        super().__init__(network.arch, network.skeleton, source=str(self.path))
        self.scored = network.scored
        """Whether scores are measured; where not, the head says 1 of all that it finds."""
        self._mean = np.asarray(network.mean, np.float32)
        self._std = np.asarray(network.std, np.float32)
        self._raw_scores = not network.score_scale
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def threads(self) -> int:
        """CPU threads that one run uses."""
        return int(self._session.get_session_options().intra_op_num_threads)

    @threads.setter
    def threads(self, threads: int) -> None:
        self._session = _open(self.path, threads)

    def candidates(self, images: NDArray[np.uint8]) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3] of the network's resolution, what its codec groups.

        Raises ValueError for images of another size, UserError where onnxruntime cannot run the graph.
        """
        if images.shape[1:] != (*self.resolution, 3):
            raise ValueError(f"images of {images.shape[1:]} for a network of {(*self.resolution, 3)}")
        inputs = normalise(images, mean=self._mean, std=self._std).transpose(0, 3, 1, 2)
        return [self._run(image) for image in inputs]

    def _run(self, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        feed = {self._input: np.ascontiguousarray(image[None])}
        try:
            outputs = self._session.run(self._outputs, feed)
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise UserError(f"{self.path}: onnxruntime cannot run it: {_reason(error)}") from None
        found = self._finite({name: output[0] for name, output in zip(self._outputs, outputs, strict=True)})
        return self.codec.confident(found) if self._raw_scores else found


def _open(path: Path, threads: int) -> Any:
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
    except Exception as error:  # as above
        raise UserError(f"{path}: onnxruntime cannot load it: {_reason(error)}") from None


def _named(path: Path) -> Path | bytes:
    """The path; of a name that is no Unicode, which onnxruntime cannot open, the content."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
