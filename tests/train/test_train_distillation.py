"""How much a teacher counts."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import torch
import yaml
from head_samples import small_arch
from plans import plan_of
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker
from torch import Tensor

from nas.errors import UserError
from nas.heads import PoseHead
from nas.models import PoseNet
from nas.space import ArchManager, SearchSpace
from nas.train import train_supernet
from nas.train.distillation import MOST_SCALED, as_strong_as_labels, ramped, tempered_distance
from nas.train.rules import Lesson, SandwichRule
from nas.train.weighting import fixed_sum


def head_of(name: str) -> PoseHead:
    return PoseNet(small_arch(name), "coco17").head()


def axes(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        axis: torch.randn(2, 17, bins, dtype=torch.float64, generator=generator)
        for axis, bins in (("x", 12), ("y", 8))
    }


def test_teacher_weight_is_ramped_in() -> None:
    assert [ramped(0.5, 10, step) for step in (0, 5, 10, 100)] == [0.0, 0.25, 0.5, 0.5]
    assert ramped(0.5, 0, 0) == 0.5


@pytest.mark.parametrize(("name", "sharpness"), [("simcc", 1.0), ("rtmcc", 10.0)])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distributions_are_compared_at_a_temperature(name: str, sharpness: float, temperature: float) -> None:
    student, teacher = axes(0), axes(1)
    expected = 0.0
    for axis in ("x", "y"):
        logits = [sharpness * outputs[axis].numpy() / temperature for outputs in (student, teacher)]
        ours, theirs = (scipy.special.log_softmax(each, axis=2) for each in logits)
        expected += float((np.exp(theirs) * (theirs - ours)).sum(axis=2).mean())
    found = tempered_distance(head_of(name), student, teacher, temperature)
    assert found.item() == pytest.approx(temperature**2 * expected)


def test_heads_without_distributions_have_no_temperature() -> None:
    head = head_of("heatmap")
    student, teacher = ({"heatmaps": torch.rand(1, 17, 4, 4)} for _ in range(2))
    assert torch.equal(tempered_distance(head, student, teacher, 3.0), head.distill(student, teacher))


def scaled(distance: float, labels: float) -> tuple[float, float]:
    """A distance with that gradient, of the size 2, and its gradient once it is as strong as the labels."""
    leaf = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    output = 1.0 * leaf
    others = {"unused": torch.zeros(1, requires_grad=True), "fixed": torch.zeros(1)}
    away = 2.0 + distance * (output[0] - 0.5)
    found = as_strong_as_labels(away, {"map": output, **others}, labels * output[1])
    found.backward()
    assert leaf.grad is not None
    assert leaf.grad[1] == 0
    return found.item(), leaf.grad[0].item()


def test_a_distance_pulls_as_strongly_as_the_labels() -> None:
    assert scaled(0.25, 1.5) == pytest.approx((12.0, 1.5))
    assert scaled(4.0, 1.0) == pytest.approx((0.5, 1.0))


def test_a_student_at_its_teacher_is_not_thrown_about() -> None:
    assert scaled(1e-9, 2.0) == pytest.approx((2 * MOST_SCALED, MOST_SCALED * 1e-9))
    assert scaled(0.0, 2.0) == pytest.approx((2 * MOST_SCALED, 0.0))


def test_where_nothing_is_labelled_it_stays_as_it_is() -> None:
    assert scaled(0.25, 0.0) == (2.0, 0.25)
    assert scaled(0.0, 0.0) == (2.0, 0.0)


def test_the_teacher_counts_as_much_as_the_labels(tiny_space: SearchSpace) -> None:
    manager = ArchManager(tiny_space)
    place = {"head": "heatmap", "resolution": (32, 32)}
    archs = (manager.largest(**place), manager.smallest(**place))
    torch.manual_seed(0)
    net = PoseNet(tiny_space, "coco17").double().train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # maps are nearly 0 at first, and so is their distance
        for parameter in net.heads.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator)
    targets = {
        "heatmaps": torch.rand(2, 17, 8, 8, dtype=torch.float64, generator=generator),
        "weights": torch.ones(2, 17, dtype=torch.float64),
    }
    losses: list[Tensor] = []
    rule = SandwichRule(weight=0.25, ramp=0, normalise=True)
    rule(Lesson(net, plan_of(archs), images, [targets], autocast=nullcontext, backward=losses.append))

    teacher, student = (net(images, arch) for arch in archs)
    head, maps = net.head(archs[1]), student["heatmaps"]
    labels = fixed_sum("heatmap", head.loss(student, targets))
    distance = head.distill(student, {name: output.detach() for name, output in teacher.items()})
    pulls = [torch.autograd.grad(loss, maps, retain_graph=True)[0].norm() for loss in (labels, distance)]
    factor = float(pulls[0] / pulls[1])
    assert factor < MOST_SCALED
    assert factor != pytest.approx(1.0), "as it is it would count otherwise"
    assert losses[1].item() == pytest.approx((0.75 * labels + 0.25 * factor * distance).item())


def test_killed_and_resumed_equals_undisturbed(make_config: RecipeMaker, tmp_path: Path) -> None:
    distillation = {"weight": 0.5, "ramp": 2, "temperature": 2.0, "normalise": True}
    config = make_config(distillation=distillation, accumulate=2, init={"zero_residual": True})
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))


def test_a_temperature_without_use_is_refused(
    make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(tiny_space.narrow(heads=["heatmap"]).spec.to_json()))
    config = make_config(space=str(path), distillation={"temperature": 2.0})
    with pytest.raises(UserError, match=r"distillation\.temperature: no head of space 'tiny' compares"):
        train_supernet(config, tmp_path / "run")
