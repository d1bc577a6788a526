"""What a step learns from."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from plans import plan_of
from torch import Tensor

from nas.codecs import People
from nas.codecs.build import codec_of
from nas.models import PoseNet
from nas.runs.config import OptimizerConfig
from nas.space import Arch, ArchManager, SearchSpace, Skeleton
from nas.train.optimizer import build_optimizer
from nas.train.plan import SandwichDraw, StepPlan, Trainee
from nas.train.rules import Lesson, PlainRule, SandwichRule
from nas.train.weighting import somebody


@pytest.fixture
def net(tiny_space: SearchSpace) -> PoseNet:
    torch.manual_seed(0)
    return PoseNet(tiny_space, "coco17").double().train()


@pytest.fixture
def archs(tiny_space: SearchSpace) -> tuple[Arch, ...]:
    manager = ArchManager(tiny_space)
    place = {"head": "heatmap", "resolution": (32, 32)}
    random = manager.sample(np.random.default_rng(3), **place)
    return manager.largest(**place), manager.smallest(**place), random


@pytest.fixture
def batch(archs: tuple[Arch, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *archs[0].resolution, dtype=torch.float64, generator=generator)
    targets = {
        "heatmaps": torch.rand(2, 17, 8, 8, dtype=torch.float64, generator=generator),
        "weights": torch.ones(2, 17, dtype=torch.float64),
    }
    return images, targets


def gradients(net: PoseNet) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def test_sandwich_gradient_is_the_sum_of_its_parts(
    net: PoseNet, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    images, targets = batch
    rule = SandwichRule(weight=0.5, ramp=10)
    losses = rule(
        Lesson(net, plan_of(archs, step=4), images, [targets], autocast=nullcontext, backward=Tensor.backward)
    )
    together = gradients(net)

    teacher = {name: tensor.detach() for name, tensor in net(images, archs[0]).items()}
    expected: dict[str, Tensor] = {}
    for arch in archs:
        net.zero_grad(set_to_none=True)
        outputs = net(images, arch)
        loss = net.head(arch).loss(outputs, targets)["heatmap"]
        if arch is not archs[0]:
            loss = 0.8 * loss + 0.2 * net.head(arch).distill(outputs, teacher)
        loss.backward()
        for name, gradient in gradients(net).items():
            expected[name] = expected.get(name, torch.zeros_like(gradient)) + gradient
    assert together.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(together[name], gradient, rtol=1e-9, atol=1e-12), name
    assert set(losses) == {"heatmap/largest", "heatmap/smallest", "heatmap/random", "heatmap/teacher"}


def test_the_gradient_of_all_heads_is_the_sum_of_each_alone(tiny_space: SearchSpace, net: PoseNet) -> None:
    draw = SandwichDraw(tiny_space, random=1, pool=None, all_heads=True)
    trainees = draw(np.random.default_rng(1), 5)
    assert [len(trainee.archs) for trainee in trainees] == [2, 2, 2]
    resolution = trainees[0].archs[0].resolution
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *resolution, dtype=torch.float64, generator=generator)
    targets = [codec_targets(arch, [somebody(arch, 17), somebody(arch, 17)]) for arch in trainees[0].archs]
    rule = SandwichRule(weight=0.5, ramp=10)

    def learn(trainees: tuple[Trainee, ...], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        plan = StepPlan(step=4, seed=0, indices=(0, 1), trainees=trainees)
        return rule(Lesson(net, plan, images, targets, autocast=nullcontext, backward=Tensor.backward))

    told = learn(trainees, targets)
    together = gradients(net)
    expected: dict[str, Tensor] = {}
    alone: dict[str, Tensor] = {}
    for place, target in enumerate(targets):
        net.zero_grad(set_to_none=True)
        alone |= learn(tuple(Trainee(t.role, (t.archs[place],)) for t in trainees), [target])
        for name, gradient in gradients(net).items():
            expected[name] = expected.get(name, torch.zeros_like(gradient)) + gradient
    assert together.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(together[name], gradient, rtol=1e-8, atol=1e-10, msg=name)
    assert told.keys() == alone.keys()
    assert len(told) == 8
    for name, loss in alone.items():
        torch.testing.assert_close(told[name], loss)


def codec_targets(arch: Arch, people: list[People]) -> dict[str, Tensor]:
    """Targets of some images in float64."""
    encoded = [codec_of(arch, Skeleton.load("coco17")).encode(of_one) for of_one in people]
    return {name: torch.from_numpy(np.stack([e[name] for e in encoded])).double() for name in encoded[0]}


def test_what_was_not_drawn_has_no_gradient_and_does_not_move(
    net: PoseNet, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    images, targets = batch
    optimizer = build_optimizer(net.named_parameters(), OptimizerConfig(lr=0.1, weight_decay=0.1))
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    rule = SandwichRule(weight=0.5, ramp=0)
    rule(Lesson(net, plan_of(archs), images, [targets], autocast=nullcontext, backward=Tensor.backward))
    optimizer.step()
    unused = {name for name, parameter in net.named_parameters() if parameter.grad is None}
    assert any("simcc" in name for name in unused)
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) == (name in unused), name


def test_labels_alone_where_the_teacher_has_no_weight(
    net: PoseNet, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    images, targets = batch
    rule = SandwichRule(weight=0.5, ramp=10)
    losses = rule(
        Lesson(net, plan_of(archs), images, [targets], autocast=nullcontext, backward=Tensor.backward)
    )
    assert "heatmap/teacher" not in losses


def test_nobody_teaches_where_the_largest_is_left_out(
    net: PoseNet, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    images, targets = batch
    without = replace(plan_of(archs), trainees=plan_of(archs).trainees[1:])
    totals: list[Tensor] = []
    rule = SandwichRule(weight=0.5, ramp=0)
    losses = rule(Lesson(net, without, images, [targets], autocast=nullcontext, backward=totals.append))
    assert {name.split("/")[1] for name in losses} == {trainee.role for trainee in without.trainees}
    assert sum(total.item() for total in totals) == pytest.approx(sum(losses.values()).item())


def test_plain_rule_mixes_labels_and_teacher(
    net: PoseNet, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    images, targets = batch
    student = archs[1]
    known = {"heatmaps": torch.rand(2, 17, 8, 8, dtype=torch.float64)}
    total: list[Tensor] = []
    rule = PlainRule(teacher=lambda _: known, weight=0.25)
    losses = rule(
        Lesson(net, plan_of((student,)), images, [targets], autocast=nullcontext, backward=total.append)
    )
    mixed = 0.75 * losses["heatmap/labels"] + 0.25 * losses["heatmap/teacher"]
    assert total[0].item() == pytest.approx(float(mixed))
    alone = PlainRule()(
        Lesson(net, plan_of((student,)), images, [targets], autocast=nullcontext, backward=total.append)
    )
    assert set(alone) == {"heatmap/labels"}


def test_bf16_outputs_are_widened_for_losses(
    tiny_space: SearchSpace, archs: tuple[Arch, ...], batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    net = PoseNet(tiny_space, "coco17").train()
    images, targets = batch[0].float(), {name: tensor.float() for name, tensor in batch[1].items()}
    rule = SandwichRule(weight=0.5, ramp=0)
    losses = rule(
        Lesson(
            net,
            plan_of(archs),
            images,
            [targets],
            autocast=lambda: torch.autocast("cpu", dtype=torch.bfloat16),
            backward=Tensor.backward,
        )
    )
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_weight_decay_spares_norms_biases_and_kernel_maps(tiny_space: SearchSpace) -> None:
    net = PoseNet(tiny_space, "coco17")
    optimizer = build_optimizer(net.named_parameters(), OptimizerConfig(weight_decay=0.1))
    spared = {id(parameter) for parameter in optimizer.param_groups[1]["params"]}
    named = dict(net.named_parameters())
    assert {name for name, p in named.items() if id(p) in spared} == {
        name for name, p in named.items() if p.ndim == 1 or ".transform_" in name
    }
    assert any(".transform_" in name for name in named)
    assert optimizer.param_groups[1]["weight_decay"] == 0.0
    assert optimizer.param_groups[0]["weight_decay"] == 0.1


def test_heads_with_other_options_are_other_settings(tiny_space: SearchSpace) -> None:
    arch = ArchManager(tiny_space).largest(head="simcc")
    other = replace(arch, head=replace(arch.head, options=(("label", "gaussian"), ("split", 3))))
    assert plan_of((arch,)).settings != plan_of((other,)).settings
