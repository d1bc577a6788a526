"""Released LitePose checkpoints (`.pth.tar`): read without running code, keys mapped onto a PoseNet's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.errors import UserError
from nas.models.weights import require_finite

_STEM = "stems.separable"
_BLOCK = r"stages.\1.types.mbconv.\2"
_UPSAMPLE = r"necks.fusion_deconv.upsample.\1.deconv4x4"
_HEAD = "heads.fusion_deconv.associative_embedding"
_OUTPUTS = {"0": "output_4", "1": "output_2"}

_RULES: tuple[tuple[str, str], ...] = (
    (r"first\.0\.0", f"{_STEM}.conv"),
    (r"first\.0\.1", f"{_STEM}.conv_norm"),
    (r"first\.1\.0", f"{_STEM}.depthwise"),
    (r"first\.1\.1", f"{_STEM}.depthwise_norm"),
    (r"first\.2", f"{_STEM}.project"),
    (r"first\.3", f"{_STEM}.project_norm"),
    (r"stage\.(\d+)\.(\d+)\.inv\.0", f"{_BLOCK}.expand"),
    (r"stage\.(\d+)\.(\d+)\.inv\.1", f"{_BLOCK}.expand_norm"),
    (r"stage\.(\d+)\.(\d+)\.depth_conv\.0", f"{_BLOCK}.depthwise"),
    (r"stage\.(\d+)\.(\d+)\.depth_conv\.1", f"{_BLOCK}.depthwise_norm"),
    (r"stage\.(\d+)\.(\d+)\.point_conv\.0", f"{_BLOCK}.project"),
    (r"stage\.(\d+)\.(\d+)\.point_conv\.1", f"{_BLOCK}.project_norm"),
    (r"deconv_(refined|raw)\.(\d+)", r"necks.fusion_deconv.upsample.\2.deconv4x4.\1"),
    (r"deconv_bnrelu\.(\d+)\.0", f"{_UPSAMPLE}.norm"),
    *(
        rule
        for index, output in _OUTPUTS.items()
        for rule in (
            (rf"final_(refined|raw)\.{index}\.conv\.0", rf"{_HEAD}.{output}.\1.depthwise"),
            (rf"final_(refined|raw)\.{index}\.conv\.1", rf"{_HEAD}.{output}.\1.norm"),
            (rf"final_(refined|raw)\.{index}\.conv\.3", rf"{_HEAD}.{output}.\1.pointwise"),
        )
    ),
)
"""Modules of the released network, and ours that do the same."""


def is_litepose_checkpoint(path: Path) -> bool:
    """Whether a file's name says that it is a torch checkpoint rather than safetensors."""
    return path.name.endswith((".pth.tar", ".pth", ".tar", ".pt"))


def read_litepose_checkpoint(path: Path) -> dict[str, Tensor]:
    """Its weights under our names; batch-norm running statistics are left out.

    Raises:
        UserError: no such file, not a checkpoint of tensors alone, of another network, or with weights that
            are not finite.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler lets damaged files raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not loaded, no checkpoint of plain tensors ({reason})") from None
    mapped: dict[str, Tensor] = {}
    for key, tensor in _state_dict(path, content).items():
        name = litepose_name(key)
        if name is not None and isinstance(tensor, Tensor):
            mapped[name] = tensor
    if not mapped:
        raise UserError(f"{path}: holds no weights of a LitePose network (such as first.0.0.weight)")
    require_finite(path, mapped)
    return mapped


def litepose_name(key: str) -> str | None:
    """Our name of a LitePose parameter; None for what has no place here (running statistics, other parts)."""
    module, _, leaf = key.rpartition(".")
    if leaf not in ("weight", "bias"):
        return None
    for pattern, replacement in _RULES:
        match = re.fullmatch(pattern, module)
        if match:
            return f"{match.expand(replacement)}.{leaf}"
    return None


def _state_dict(path: Path, content: Any) -> Mapping[str, Any]:
    """The parameters in a checkpoint: bare, under `state_dict`, and with or without DDP's prefix."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: not a checkpoint with named parameters")
    return {_without_prefix(str(key)): value for key, value in content.items()}


def _without_prefix(key: str) -> str:
    for prefix in ("module.", "1."):
        key = key.removeprefix(prefix)
    return key
