"""Search spaces may name just what networks can build."""

from nas.layers import ACTIVATIONS
from nas.models.blocks import BLOCKS, STEMS
from nas.models.necks import UPSAMPLERS
from nas.space import fields


def test_every_name_of_a_search_space_can_be_built_and_the_other_way_round() -> None:
    assert set(fields.BLOCK_OPTIONS) == set(BLOCKS)
    assert {name: stem.stride for name, stem in STEMS.items()} == dict(fields.STEM_STRIDES)
    assert set(fields.UPSAMPLERS) == set(UPSAMPLERS)
    assert set(fields.ACTIVATIONS) == set(ACTIVATIONS)
