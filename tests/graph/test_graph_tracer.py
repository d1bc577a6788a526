"""Graphs of whole networks: size and cost, fragments, what cannot be traced."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.graph import Tracer, complexity, features
from nas.layers import ElasticConv2d
from nas.space import ArchManager, SearchSpace
from nas.space.skeleton import Skeleton

PUBLISHED = {  # parameters and MACs of the published subnets with 14 and with 17 joints
    "litepose-auto-xs": {14: (1_675_552, 882_892_800), 17: (1_675_912, 885_841_920)},
    "litepose-auto-s": {14: (2_731_240, 3_614_139_648), 17: (2_731_624, 3_624_375_552)},
    "litepose-auto-m": {14: (3_533_808, 5_263_675_648), 17: (3_534_336, 5_275_717_888)},
    "litepose-auto-l": {14: (5_738_120, 9_961_996_288), 17: (5_738_672, 9_979_297_792)},
}
SPACES = ("demo", "person-crop", "litepose", "openpose-lite", "yolopose", "any-head-crowd")


@pytest.fixture(scope="module")
def tracers() -> dict[str, Tracer]:
    return {name: Tracer(SearchSpace.load(name), "coco17") for name in SPACES}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("skeleton", "joints"), [("crowdpose14", 14), ("coco17", 17)])
def test_published_subnets_have_their_published_size(name, skeleton, joints) -> None:
    space = SearchSpace.load("litepose-published")
    found = complexity(space.published()[name], skeleton, space=space)
    assert (found.params, found.macs) == PUBLISHED[name][joints]


def test_a_tracer_of_the_arch_alone_counts_the_same() -> None:
    arch = SearchSpace.load("litepose-published").published()["litepose-auto-xs"]
    found = complexity(arch, "crowdpose14")
    assert (found.params, found.macs) == PUBLISHED["litepose-auto-xs"][14]


def modules_that_run(net: nn.Module) -> set[nn.Module]:
    """Filled by the next forward pass: a branch that is there for training only is not among them."""
    ran: set[nn.Module] = set()
    for module in net.modules():
        module.register_forward_hook(lambda module, _, __: ran.add(module))
    return ran


@pytest.mark.parametrize("name", SPACES)
def test_size_and_cost_equal_those_of_the_plain_network(name, tracers, calibrated_net) -> None:
    tracer, space = tracers[name], SearchSpace.load(name)
    rng = np.random.default_rng(0)
    for head in space.heads:
        for _ in range(3):
            arch = ArchManager(space).sample(rng, head=head, resolution=space.resolutions[0])
            graph = tracer(arch)
            net = calibrated_net(arch)
            ran = modules_that_run(net)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                net.decode(net(torch.zeros(1, 3, *arch.resolution)))
            own = (parameter for module in ran for parameter in module.parameters(recurse=False))
            assert graph.params == sum(parameter.numel() for parameter in own)
            assert graph.macs == counter.get_total_flops() // 2


def test_shapes_are_those_that_torch_computes(tracers, calibrated_net) -> None:
    arch = ArchManager(SearchSpace.load("demo")).largest(head="simcc")
    net = calibrated_net(arch)
    graph = tracers["demo"](arch)
    with torch.no_grad():
        raw = net(torch.zeros(1, 3, *arch.resolution))
        decoded = net.decode(raw)
    for traced, computed in ((graph.raw_outputs, raw), (graph.outputs, decoded)):
        assert {name: graph.types[edge].shape for name, edge in traced.items()} == {
            name: value.shape for name, value in computed.items()
        }


def test_edges_join_operators_in_order(tracers) -> None:
    graph = tracers["demo"](ArchManager(SearchSpace.load("demo")).largest())
    known = {0: graph.images}
    for operator in graph.operators:
        for source, type_ in zip(operator.inputs, operator.input_types, strict=True):
            if isinstance(source, int):
                assert known[source] == type_
        assert not known.keys() & set(operator.outputs)
        known.update(zip(operator.outputs, operator.output_types, strict=True))
    assert set(graph.outputs.values()) <= known.keys()
    scopes = {operator.scope for operator in graph.operators}
    assert "stages.0.types.mbconv.1.depthwise" in scopes


def test_a_graph_does_not_depend_on_what_was_traced_before(tracers) -> None:
    space = SearchSpace.load("demo")
    rng = np.random.default_rng(3)
    for arch in [ArchManager(space).sample(rng) for _ in range(30)]:
        first, second = tracers["demo"](arch), Tracer(space, "coco17")(arch)
        assert [(o.kind, o.scope, o.edges, o.outputs, o.output_types) for o in first.operators] == [
            (o.kind, o.scope, o.edges, o.outputs, o.output_types) for o in second.operators
        ]
        assert (first.params, first.macs) == (second.params, second.macs)


def test_totals_are_remembered_and_right(tracers) -> None:
    manager = ArchManager(SearchSpace.load("demo"))
    calls = 0

    def count_convolutions(operator) -> int:
        nonlocal calls
        calls += 1
        return operator.kind == "conv"

    graph = tracers["demo"](manager.largest())
    total = graph.total(count_convolutions, 0)
    assert total == sum(operator.kind == "conv" for operator in graph.operators)
    before = calls
    assert tracers["demo"](manager.largest()).total(count_convolutions, 0) == total
    assert calls - before < before / 2
    assert graph.total(lambda operator: operator.macs, 0) == graph.macs


def test_features_tell_kinds_of_convolution_apart(tracers) -> None:
    graph = tracers["demo"](ArchManager(SearchSpace.load("demo")).largest(head="simcc"))
    found = {features(operator).label for operator in graph.operators}
    assert {"conv.pointwise", "conv.depthwise3", "conv.dense3", "linear", "relu", "add"} <= found
    conv = next(operator for operator in graph.operators if operator.kind == "conv")
    height, width = graph.arch.resolution
    stem = features(conv)
    assert stem.bytes_in == 4 * 3 * height * width
    assert stem.bytes_out == 4 * 32 * height * width // 4
    assert stem.bytes_weights == 4 * 32 * 3 * 9


class Toy(nn.Module):
    """What a tracer needs of a network, and nothing else."""

    def __init__(self, arch, skeleton) -> None:
        super().__init__()
        self.arch, self.skeleton = arch, Skeleton.load(skeleton)
        self.conv = ElasticConv2d(3, 8, 3)
        self.register_buffer("offset", torch.ones(8, 1, 1))

    def in_context(self, images, arch, context):
        return {"maps": self.conv(images, 4, context)}

    def decode(self, outputs, arch):
        return outputs


def test_what_is_computed_from_weights_alone_is_no_operator(some_arch) -> None:
    class Scaled(Toy):
        def in_context(self, images, arch, context):
            scale = torch.exp(self.conv.weight[:4]).sum(dim=(1, 2, 3)).reshape(4, 1, 1) + self.offset[4:]
            return {"maps": self.conv(images, 4, context) * scale}

    graph = Tracer(some_arch, "coco17", network=Scaled)(some_arch)
    assert [operator.kind for operator in graph.operators] == ["conv", "mul"]
    assert graph.params == 4 * 3 * 9 + 4 + 4
    assert graph.operators[1].inputs[1].shape == (4, 1, 1)


def test_a_tensor_smuggled_past_the_arguments_is_refused(some_arch) -> None:
    class Smuggler(nn.Module):
        def forward(self, x, context):
            return F.relu(self.kept) + x

    class Smuggling(Toy):
        def __init__(self, arch, skeleton) -> None:
            super().__init__(arch, skeleton)
            self.inner = Smuggler()

        def in_context(self, images, arch, context):
            object.__setattr__(self.inner, "kept", images)
            return {"maps": self.inner(images, context)}

    with pytest.raises(ValueError, match=r"'inner'.*not passed"):
        Tracer(some_arch, "coco17", network=Smuggling)(some_arch)


def test_settings_without_a_hash_are_refused(some_arch) -> None:
    class Inner(nn.Module):
        def forward(self, x, settings, context):
            return x

    class Unhashable(Toy):
        def __init__(self, arch, skeleton) -> None:
            super().__init__(arch, skeleton)
            self.inner = Inner()

        def in_context(self, images, arch, context):
            return {"maps": self.inner(images, {1, 2}, context)}

    with pytest.raises(TypeError, match="inner"):
        Tracer(some_arch, "coco17", network=Unhashable)(some_arch)


def test_calls_that_never_repeat_are_traced_in_place(some_arch, monkeypatch) -> None:
    monkeypatch.setattr("nas.graph.tracer.TRIAL_CALLS", 4)

    class Inner(nn.Module):
        def forward(self, x, number, context):
            return x + number

    class Counting(Toy):
        def __init__(self, arch, skeleton) -> None:
            super().__init__(arch, skeleton)
            self.inner, self.calls = Inner(), 0

        def in_context(self, images, arch, context):
            self.calls += 1
            return {"maps": self.inner(images, self.calls, context)}

    tracer = Tracer(some_arch, "coco17", network=Counting)
    graphs = [tracer(some_arch) for _ in range(8)]
    assert [operator.scope for graph in graphs for operator in graph.operators] == ["inner"] * 8
    assert len(graphs[0].fragment.steps) == len(graphs[-1].fragment.steps) == 1


def test_a_plain_tensor_made_in_init_is_refused(some_arch) -> None:
    class Careless(Toy):
        def __init__(self, arch, skeleton) -> None:
            super().__init__(arch, skeleton)
            self.grid = torch.arange(4.0)

        def in_context(self, images, arch, context):
            return {"maps": images[..., :4] + self.grid}

    with pytest.raises(ValueError, match="buffer"):
        Tracer(some_arch, "coco17", network=Careless)(some_arch)
