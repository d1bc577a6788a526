"""Search spaces may name just what networks can build."""

import pytest
from torch import nn

from nas.layers import ACTIVATIONS
from nas.models.necks.pyramid import CONVOLUTIONS
from nas.space import BlockSpec, PartSpec, fields
from nas.space.catalogue import SHIPPED


@pytest.mark.parametrize("part", SHIPPED, ids=lambda part: f"{part.noun} {part.name}")
def test_every_part_of_the_catalogue_has_its_module(part: PartSpec) -> None:
    assert issubclass(part.load_module(), nn.Module)
    if isinstance(part, BlockSpec):
        assert issubclass(part.load_stage(), nn.Module)


def test_vocabularies_are_what_can_be_built() -> None:
    assert set(fields.CONVOLUTIONS) == set(CONVOLUTIONS)
    assert set(fields.ACTIVATIONS) == set(ACTIVATIONS)
