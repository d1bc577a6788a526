"""Search spaces may name just what networks can build."""

from nas.layers import ACTIVATIONS
from nas.models.blocks import STAGES
from nas.models.necks import CONVOLUTIONS, NECKS
from nas.models.stems import STEMS
from nas.models.upsamplers import UPSAMPLERS
from nas.space import fields, necks


def test_every_name_of_a_search_space_can_be_built_and_the_other_way_round() -> None:
    assert set(fields.BLOCK_OPTIONS) == set(STAGES)
    assert {name: stem.stride for name, stem in STEMS.items()} == dict(fields.STEM_STRIDES)
    assert set(necks.NECK_TYPES) == set(NECKS)
    assert set(necks.CONVOLUTIONS) == set(CONVOLUTIONS)
    assert set(fields.UPSAMPLERS) == set(UPSAMPLERS)
    assert set(fields.ACTIVATIONS) == set(ACTIVATIONS)
