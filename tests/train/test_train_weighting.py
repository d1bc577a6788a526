"""Learned weights of a loss's terms: the formula, where they end, what they leave alone, what survives."""

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from head_samples import SHIPPED_HEADS, small_arch
from plans import plan_of
from test_train_resume import Killed, before_step, die, same_run
from tiny_training import RecipeMaker
from torch import Tensor

from nas.errors import UserError
from nas.models import PoseNet
from nas.runs import load_finetune_config, read_metrics
from nas.runs.config import OptimizerConfig
from nas.space import Arch, ArchManager, SearchSpace
from nas.train import finetune_subnet, train_supernet
from nas.train.checkpoint import CheckpointStore
from nas.train.optimizer import build_optimizer
from nas.train.rules import Lesson, PlainRule, SandwichRule
from nas.train.weighting import TEACHER, LearnedWeights, fixed_sum, learned_weights, loss_terms


def with_variances(**log_variances: float) -> LearnedWeights:
    """Weights of a head "h"."""
    weights = LearnedWeights({"h": list(log_variances)}).double()
    with torch.no_grad():
        for name, value in log_variances.items():
            weights.log_variances[f"h/{name}"].fill_(value)
    return weights


def test_a_term_is_weighed_by_its_inverse_variance() -> None:
    weights = with_variances(a=0.7, b=-2.0)
    terms = {"a": torch.tensor(3.0, dtype=torch.float64), "b": torch.tensor(0.25, dtype=torch.float64)}
    expected = 3 / math.exp(0.7) + 0.7 + 0.25 * math.exp(2) - 2
    assert weights("h", terms).item() == pytest.approx(expected, rel=1e-12)
    # Kendall et al. write L / (2 sigma^2) + log sigma: half of it.
    halves = [
        (3 / (2 * variance) + math.log(math.sqrt(variance)))
        if name == "a"
        else (0.25 / (2 * variance) + math.log(math.sqrt(variance)))
        for name, variance in (("a", math.exp(0.7)), ("b", math.exp(-2.0)))
    ]
    assert sum(halves) == pytest.approx(expected / 2, rel=1e-12)
    assert weights.weights() == pytest.approx({"weight/h/a": math.exp(-0.7), "weight/h/b": math.exp(2)})


def test_the_start_is_the_plain_sum() -> None:
    terms = {"a": torch.tensor(3.0), "b": torch.tensor(0.25)}
    assert torch.equal(LearnedWeights({"h": ["a", "b"]})("h", terms), fixed_sum("h", terms))


def test_gradients_are_those_of_the_formula() -> None:
    weights = with_variances(a=0.7, b=-2.0)
    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (3.0, 0.25)]
    weights("h", dict(zip("ab", inputs, strict=True))).backward()
    for term, s, name in zip(inputs, (0.7, -2.0), "ab", strict=True):
        assert term.grad is not None
        assert term.grad.item() == pytest.approx(math.exp(-s))
        assert weights.log_variances[f"h/{name}"].grad.item() == pytest.approx(1 - math.exp(-s) * term.item())


def test_log_variances_are_drawn_to_the_logarithms_of_their_terms() -> None:
    weights = LearnedWeights({"h": ["large", "small"]})
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05, betas=(0.9, 0.9))
    terms = {"large": torch.tensor(200.0), "small": torch.tensor(1e-3)}
    for _ in range(600):
        optimizer.zero_grad()
        weights("h", terms).backward()
        optimizer.step()
    for name, term in terms.items():
        assert weights.log_variances[f"h/{name}"].item() == pytest.approx(math.log(term), abs=0.05)
        assert weights.weights()[f"weight/h/{name}"] * float(term) == pytest.approx(1, abs=0.05)


def test_terms_without_anything_to_learn_do_not_move_their_weight() -> None:
    weights = with_variances(push=0.5)
    nothing = torch.zeros((), dtype=torch.float64, requires_grad=True)
    loss = weights("h", {"push": nothing})
    loss.backward()
    assert loss.item() == 0
    assert weights.log_variances["h/push"].grad.item() == 0


def test_weights_do_not_decay() -> None:
    weights = with_variances(a=2.0)
    optimizer = build_optimizer(weights.named_parameters(), OptimizerConfig(weight_decay=0.5))
    assert [len(group["params"]) for group in optimizer.param_groups] == [0, 1]


@pytest.mark.parametrize("head", SHIPPED_HEADS)
def test_every_term_of_every_head_is_found(head: str) -> None:
    arch = small_arch(head)
    net = PoseNet(arch, "coco17")
    weights = learned_weights(net, teacher=False)
    known = loss_terms(net, arch)
    assert known
    assert set(weights.log_variances) == {f"{head}/{term}" for term in known - net.head().likelihoods}


def test_terms_of_every_option_are_found() -> None:
    space = SearchSpace.from_json(
        {
            "version": 1,
            "name": "options",
            "task": "crop",
            "resolution": [[32, 32]],
            "stem": {"width": 8, "activation": "relu"},
            "stages": [
                {"type": "mbconv", "activation": "relu", "stride": 2, "depth": 1, "kernel": 3, "expansion": 2}
                | {"width": 8}
            ]
            * 3,
            "necks": {"none": {}},
            "heads": {
                "rle": {"options": {"bone": [0.0, 0.5], "score": ["sigma", "bce"]}},
                "simcc": {},
            },
        }
    )
    net = PoseNet(space, "coco17")
    weights = learned_weights(net, teacher=True)
    assert set(weights.log_variances) == {
        "rle/bone", "rle/score", "rle/teacher", "simcc/x", "simcc/y", "simcc/teacher",
    }  # fmt: skip


def test_a_likelihood_may_be_negative_and_keeps_its_weight() -> None:
    weights = LearnedWeights({"rle": ["bone"]})
    likelihood = torch.tensor(-40.0, requires_grad=True)
    loss = weights("rle", {"xy": likelihood, "bone": torch.tensor(2.0)})
    loss.backward()
    assert loss.item() == pytest.approx(-38)
    assert likelihood.grad is not None
    assert likelihood.grad.item() == 1


@pytest.fixture
def batch() -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    targets = {
        "heatmaps": torch.rand(2, 17, 8, 8, dtype=torch.float64, generator=generator),
        "weights": torch.ones(2, 17, dtype=torch.float64),
    }
    return torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator), targets


def test_rules_weigh_labels_and_teacher_and_tell_unweighted_losses(
    tiny_space: SearchSpace, batch: tuple[Tensor, dict[str, Tensor]]
) -> None:
    manager = ArchManager(tiny_space)
    images, targets = batch
    place = {"head": "heatmap", "resolution": (32, 32)}
    archs = (manager.largest(**place), manager.smallest(**place))
    torch.manual_seed(0)
    net = PoseNet(tiny_space, "coco17").double().train()
    weights = LearnedWeights({"heatmap": ["heatmap", TEACHER]}).double()
    with torch.no_grad():
        weights.log_variances["heatmap/heatmap"].fill_(1.0)
        weights.log_variances["heatmap/teacher"].fill_(-1.0)

    def label(loss: float) -> float:
        return loss / math.e + 1

    def taught(loss: float) -> float:
        return loss * math.e - 1

    def steps(
        rule: SandwichRule | PlainRule, *, of: tuple[Arch, ...]
    ) -> tuple[list[float], dict[str, float]]:
        backward: list[Tensor] = []
        plan = plan_of(of, step=9)
        losses = rule(Lesson(net, plan, images, [targets], autocast=nullcontext, backward=backward.append))
        return [loss.item() for loss in backward], {name: loss.item() for name, loss in losses.items()}

    (first, second), told = steps(SandwichRule(weight=0.25, ramp=0, weighting=weights), of=archs)
    assert first == pytest.approx(label(told["heatmap/largest"]))
    assert second == pytest.approx(
        0.75 * label(told["heatmap/smallest"]) + 0.25 * taught(told["heatmap/teacher"])
    )
    known = {"heatmaps": torch.rand(2, 17, 8, 8, dtype=torch.float64)}
    rule = PlainRule(teacher=lambda _: known, weight=0.25, weighting=weights)
    (only,), told = steps(rule, of=archs[1:])
    assert only == pytest.approx(
        0.75 * label(told["heatmap/labels"]) + 0.25 * taught(told["heatmap/teacher"])
    )


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_killed_and_resumed_equals_undisturbed(
    make_config: RecipeMaker, tmp_path: Path, precision: str
) -> None:
    config = make_config(loss_weighting="auto", precision=precision, accumulate=2)
    straight = train_supernet(config, tmp_path / "straight")
    with before_step(8, die), pytest.raises(Killed):
        train_supernet(config, tmp_path / "killed")
    same_run(straight, train_supernet(config, tmp_path / "killed"))
    first, second = (
        CheckpointStore(tmp_path / name / "checkpoints", keep=2).latest() for name in ("straight", "killed")
    )
    assert first is not None
    assert second is not None
    learned = first.weights["weighting"]
    assert len(learned) == 5, "simcc's x and y, heatmap's one, and a teacher each"
    for name, tensor in learned.items():
        assert tensor.item() != 0, name
        assert torch.equal(tensor, second.weights["weighting"][name])
    last = read_metrics(straight.metrics_file)[-1]
    assert {name for name in last if name.startswith("weight/")} == {
        f"weight/{name.removeprefix('log_variances.')}" for name in learned
    }


def test_finetuning_learns_them_too(
    make_config: RecipeMaker, tiny_space: SearchSpace, tmp_path: Path
) -> None:
    run = train_supernet(make_config(steps=1), tmp_path / "run")
    arch = ArchManager(tiny_space).smallest(head="simcc")
    recipe = load_finetune_config(run.path, ["steps=3", "loss_weighting=auto", "optimizer.lr=0.01"])
    finetune_subnet(run.path, arch, recipe=recipe)
    last = read_metrics(run.work_folder(arch.id) / "metrics.jsonl")[-1]
    assert {name for name in last if name.startswith("weight/")} == {"weight/simcc/x", "weight/simcc/y"}
    assert last["weight/simcc/x"] < 1, "terms above 1 lose weight"


def test_fixed_weights_are_the_default_and_in_no_checkpoint(make_config: RecipeMaker, tmp_path: Path) -> None:
    assert make_config().loss_weighting == "fixed"
    train_supernet(make_config(steps=1), tmp_path / "run")
    checkpoint = CheckpointStore(tmp_path / "run" / "checkpoints", keep=2).latest()
    assert checkpoint is not None
    assert set(checkpoint.weights) == {"model", "ema"}
    with pytest.raises(UserError, match="loss_weighting: "):
        make_config(loss_weighting="learned")
