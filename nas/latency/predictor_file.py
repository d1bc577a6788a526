"""The file of a latency predictor, as it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.documents import Fields, read_json
from nas.errors import UserError
from nas.latency.kernel_model import KernelModel
from nas.latency.uncertainty import Novelty, Uncertainty, share_allowance
from nas.latency.validation import Validation
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace
from nas.timing.device import DeviceDescription
from nas.timing.protocol import Protocol

FORMAT_VERSION = 2


def read_predictor(path: Path) -> dict[str, Any]:
    """The fields of a saved `LatencyPredictor`. Raises UserError: unreadable, incomplete, another version."""
    try:
        content = read_json(path)
    except UserError as error:
        raise UserError(f"cannot read the latency predictor {error}") from None
    if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
        raise UserError(f"{path} is not a latency predictor of version {FORMAT_VERSION}; fit it again")
    try:
        return _fields(content)
    except UserError as error:
        raise UserError(f"{path} is not a complete latency predictor ({error}); fit it again") from None


def _fields(content: Mapping[str, Any]) -> dict[str, Any]:
    fields = Fields(content, "predictor")
    outside = fields.fields("outside_ms")
    spaces = fields.get("spaces")
    if not isinstance(spaces, list):
        raise UserError(f"{fields.place}.spaces: expected a list")
    for space in spaces:
        SearchSpace.from_json(space, source="spaces")
    validation = Validation.from_json(fields.mapping("validation"))
    loaded = share_allowance(validation.loaded / max(validation.networks, 1))
    return {
        "device": DeviceDescription.from_json(fields.get("device")),
        "protocol": Protocol.from_json(fields.get("protocol")),
        "channel_block": fields.integer("channel_block", least=1),
        "precision": fields.text("precision"),
        "skeleton": Skeleton.from_json(fields.get("skeleton")),
        "spaces": tuple(spaces),
        "model": KernelModel.from_json(fields.mapping("model")),
        "novelty": Novelty.from_json(fields.mapping("novelty")),
        "uncertainty": Uncertainty.from_json(fields.mapping("uncertainty"), loaded=loaded),
        "outside_ms": {head: outside.number(head, least=0) for head in outside.names},
        "p95_ratio": fields.number("p95_ratio", least=0),
        "validation": validation,
        "corrects": DeviceDescription.from_json(content["corrects"]) if "corrects" in content else None,
    }
