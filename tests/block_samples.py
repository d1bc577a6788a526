"""Small search spaces of given block types, for the tests of several parts."""

from typing import Any

from nas.space import SearchSpace, SpaceSpec
from nas.space.catalogue import BLOCKS
from nas.space.parts import part
from nas.space.specs import BlockSpec
from nas.space.stages import fixed_of_all

ALL_TYPES = tuple(block.name for block in BLOCKS)


def stage_data(*types: str, **given: Any) -> dict[str, Any]:
    """A stage of these types with all that they have a choice of."""
    options = sorted({option for name in types for option in part(BlockSpec, name).options})
    fixed = {name for name in ("kernel", "expansion") if fixed_of_all(types, name) is not None}
    data = {
        "type": list(types),
        "activation": "relu",
        "stride": 2,
        "width": [16, 32],
        "depth": [1, 2, 3],
        "kernel": [3, 5],
        "expansion": [2, 3],
        "options": {option: [False, True] for option in options},
        **given,
    }
    return {name: value for name, value in data.items() if name not in fixed}


def block_space(*types: str, **given: Any) -> SearchSpace:
    """Two stages of these types and either head; `given` replaces fields of both stages."""
    data = {
        "name": "-".join(types),
        "task": "crop",
        "resolution": [[64, 48], [96, 64]],
        "stem": {"width": [8, 16], "activation": "relu"},
        "stages": [stage_data(*types, **given), stage_data(*types, **{"width": [24, 48], **given})],
        "necks": {
            "none": {},
            "fusion_deconv": {"upsampler": ["bilinear", "deconv2x2"], "widths": [[16, 24]]},
        },
        "heads": {"simcc": {"neck": "none"}, "heatmap": {}},
    }
    return SearchSpace(SpaceSpec.read(data, "blocks.yaml"))
