"""Anonymous tracing: the same operators as always, several times faster, but not whose weights they use."""

import numpy as np
import pytest
from torch import nn

from nas.graph import Tracer, to_onnx
from nas.graph.construction import construction
from nas.latency.mirror import KernelMirror
from nas.models.blocks.mbconv import MBConv
from nas.models.blocks.place import BlockPlace
from nas.space import ArchManager, SearchSpace

SPACES = ("demo", "person-crop", "litepose", "openpose-lite", "yolopose", "any-head-crowd")


@pytest.mark.parametrize("name", SPACES)
def test_kernels_are_those_of_a_graph_with_names(name: str) -> None:
    space = SearchSpace.load(name)
    named, anonymous = Tracer(space, "coco17"), Tracer(space, "coco17", anonymous=True)
    mirror, rng = KernelMirror(16), np.random.default_rng(0)
    for _ in range(25):
        arch = ArchManager(space).sample(rng)
        assert mirror.kernels(anonymous(arch)) == mirror.kernels(named(arch))
        assert anonymous(arch).macs == named(arch).macs


def test_alike_modules_share_what_was_traced() -> None:
    """The second and the third block of a stage are alike: what is traced of one serves the other."""
    tracer = Tracer(SearchSpace.load("litepose"), "coco17", anonymous=True)
    fragments = tracer(ArchManager(SearchSpace.load("litepose")).largest()).fragment
    distinct, uses = set(), 0

    def count(fragment) -> None:
        nonlocal uses
        for step in fragment.steps:
            if hasattr(step, "fragment"):
                uses += 1
                distinct.add(id(step.fragment))
                count(step.fragment)

    count(fragments)
    assert len(distinct) < uses / 3


def test_an_anonymous_graph_does_not_tell_weights() -> None:
    space = SearchSpace.load("demo")
    graph = Tracer(space, "coco17", anonymous=True)(ArchManager(space).smallest())
    with pytest.raises(ValueError, match="anonymous"):
        _ = graph.params
    with pytest.raises(ValueError, match="anonymous"):
        to_onnx(graph)


def test_construction_tells_settings_shapes_and_classes_apart() -> None:
    def block(*, stride=1, residual=True, kernels=(3, 5), expansions=(4,)) -> MBConv:
        choices = {"kernel": kernels, "expansion": expansions}
        return MBConv(BlockPlace(16, 16, stride, residual, choices, options={}))

    same = construction(block())
    assert construction(block()) == same
    changes = ({"stride": 2}, {"kernels": (3,)}, {"expansions": (6,)}, {"residual": False})
    assert all(construction(block(**change)) != same for change in changes)
    assert construction(nn.ReLU()) != construction(nn.Sigmoid())


def test_what_cannot_be_compared_is_never_alike() -> None:
    def module() -> nn.Module:
        made = nn.Identity()
        made.table = np.zeros(3)
        return made

    first = module()
    assert construction(first) == construction(first)
    assert construction(first) != construction(module())
