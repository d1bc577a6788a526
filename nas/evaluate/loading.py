"""Networks of files, as evaluation and export take them."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import UserError
from nas.runtime.model import PoseModel
from nas.runtime.session import OnnxModel
from nas.shipped import network_file

if TYPE_CHECKING:
    from nas.models import PoseNet


def load_model(path: Path, *, flip: bool = False, threads: int | None = None) -> PoseModel:
    """The network of a weights file or of an ONNX file, ready to be run.

    Args:
        path: of the file, or the name of a network that ships.
        flip: run every image mirrored as well.
        threads: of torch or onnxruntime; None for torch's own number, one of onnxruntime.

    Raises:
        UserError: not such a file; a supernet; a flip test of an ONNX file.
    """
    path = network_file(path)
    if path.suffix == ".onnx":
        if flip:
            raise UserError(
                f"`flip`: {path} decodes inside, its outputs cannot be joined; validate the weights"
            )
        return OnnxModel(path, threads=threads or 1)
    import torch  # an ONNX file needs none

    from nas.evaluate.torch_model import TorchModel

    if threads is not None:
        torch.set_num_threads(threads)
    return TorchModel(load_plain(path), flip=flip)


def load_plain(path: Path) -> "PoseNet":
    """The plain network of a weights file. Raises UserError for a supernet, and as `load_weights` does."""
    from nas.models import load_weights

    net = load_weights(path)
    if net.arch is None:
        raise UserError(f"{path}: a supernet; take a subnet out of it first, with `nas transfer`")
    return net
