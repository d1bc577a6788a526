"""Drawings of networks beside the largest of their space."""

from dataclasses import replace

import pytest

from nas.report.drawing import NetworkDrawing, draw_network
from nas.space import Arch, ArchManager, SearchSpace
from nas.space.arch import Block


@pytest.fixture(scope="module")
def largest() -> Arch:
    return ArchManager(SearchSpace.load("demo")).largest(head="heatmap")


def rows(drawing: NetworkDrawing) -> dict[str, str]:
    return {row.title: row.detail for row in drawing.rows}


def test_every_part_has_its_row_with_the_size_of_its_map(largest: Arch) -> None:
    found = rows(draw_network(largest, largest))
    assert list(found) == [
        "stem separable",
        *(f"stage {number} mbconv" for number in range(4)),
        f"neck fusion_deconv ({largest.neck.upsampler})",
        "head heatmap",
    ]
    assert found["stem separable"] == "64 x 48, 16 channels"
    assert found["stage 2 mbconv"] == "8 x 6, 64 channels"
    assert found["stage 3 mbconv"] == "8 x 6, 80 channels"


def test_the_largest_beside_itself_has_nothing_more(largest: Arch) -> None:
    for row in draw_network(largest, largest).rows:
        assert not any(block.extra for block in row.blocks)
        assert row.channels == row.most


def test_what_is_smaller_is_drawn_smaller_and_the_rest_is_marked(largest: Arch) -> None:
    stage = replace(largest.stages[2], width=32, blocks=(Block(3, 3), Block(5, 4)))
    arch = replace(largest, stages=(*largest.stages[:2], stage, largest.stages[3]))
    row = draw_network(arch, largest).rows[3]
    own = [block for block in row.blocks if not block.extra]
    more = [block for block in row.blocks if block.extra]
    assert [block.number for block in own] == ["3", "5"]
    assert own[0].shade < own[1].shade
    assert own[0].height < own[1].height
    # A larger expansion of the first block, and a third one.
    assert [block.x for block in more] == [own[0].x, own[1].x + (own[1].x - own[0].x)]
    assert row.channels == row.most / 2
    assert "(kernel 3, expansion 3) (kernel 5, expansion 4);" in draw_network(arch, largest).words


def test_blocks_stay_inside_however_deep_a_stage_is(largest: Arch) -> None:
    deep = replace(largest.stages[0], blocks=(Block(5, 3),) * 40)
    arch = replace(largest, stages=(deep, *largest.stages[1:]))
    blocks = draw_network(arch, arch).rows[1].blocks
    assert len(blocks) == 40
    assert blocks[-1].x + blocks[-1].width <= 340
    assert {block.number for block in blocks} == {""}
