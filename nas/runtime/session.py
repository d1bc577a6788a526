"""An exported network in onnxruntime."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nas.codecs import Codec, codec_of
from nas.codecs.confidence import SCORE_SCALE
from nas.codecs.normalise import normalise
from nas.errors import UserError
from nas.space.arch import Arch
from nas.space.heads import Task, head_spec
from nas.space.skeleton import Skeleton

METADATA_KEY = "nas"
METADATA_VERSION = 1


class OnnxModel:
    """A pose network exported by this project; the file alone says what it is.

    Args:
        path: the ONNX file.
        threads: CPU threads that one run uses.

    Raises:
        UserError: the file is missing, is not a sound ONNX model, or was not exported by this project.
    """

    flip = False
    """There is no flip test: mirrored outputs are joined before decoding, which lies inside the file."""

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        self.path = Path(path)
        self._session = _open(self.path, threads)
        metadata = _metadata(self._session, self.path)
        self.arch = Arch.from_json(metadata["arch"], source=str(self.path))
        self.skeleton = Skeleton.from_json(metadata["skeleton"], source=str(self.path))
        self._mean = np.asarray(metadata["mean"], np.float32)
        self._std = np.asarray(metadata["std"], np.float32)
        self._codec = codec_of(self.arch, self.skeleton)
        self._raw_scores = _has_raw_scores(metadata, self.path)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def threads(self) -> int:
        """CPU threads that one run uses."""
        return int(self._session.get_session_options().intra_op_num_threads)

    @threads.setter
    def threads(self, threads: int) -> None:
        self._session = _open(self.path, threads)

    @property
    def resolution(self) -> tuple[int, int]:
        """Input size (h, w), px."""
        return self.arch.resolution

    @property
    def task(self) -> Task:
        return head_spec(self.arch.head.type).task

    @property
    def codec(self) -> Codec:
        return self._codec

    def candidates(self, images: NDArray[np.uint8]) -> list[dict[str, NDArray[Any]]]:
        """For each RGB image [B, H, W, 3] of the network's resolution, what its codec groups.

        Raises ValueError for images of another size.
        """
        if images.shape[1:] != (*self.resolution, 3):
            raise ValueError(f"images of {images.shape[1:]} for a network of {(*self.resolution, 3)}")
        inputs = normalise(images, mean=self._mean, std=self._std).transpose(0, 3, 1, 2)
        return [self._run(image) for image in inputs]

    def _run(self, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        outputs = self._session.run(self._outputs, {self._input: np.ascontiguousarray(image[None])})
        found = {name: output[0] for name, output in zip(self._outputs, outputs, strict=True)}
        return self._codec.confident(found) if self._raw_scores else found


def _open(path: Path, threads: int) -> Any:
    if threads < 1:
        raise UserError(f"a model needs at least one thread, got {threads}")
    if not path.is_file():
        raise UserError(f"{path}: the model file does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: onnxruntime cannot load it: {reason}") from None


def _metadata(session: Any, path: Path) -> Mapping[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise UserError(
            f"{path}: this ONNX file was not written by `nas export`, it does not say what it finds"
        )
    metadata: dict[str, Any] = json.loads(text)
    version = metadata.get("version")
    if version != METADATA_VERSION:
        raise UserError(f"{path}: its format is {version}, not {METADATA_VERSION}: export it anew")
    return metadata


def _has_raw_scores(metadata: Mapping[str, Any], path: Path) -> bool:
    """Whether a file is older than the scale of scores. Raises UserError for one of a newer scale."""
    scale = metadata.get("score_scale")
    if scale not in (None, SCORE_SCALE):
        raise UserError(f"{path}: its scores have scale {scale!r}, not {SCORE_SCALE}: export it anew")
    return scale is None
