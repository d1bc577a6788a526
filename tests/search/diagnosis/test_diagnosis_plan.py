"""How networks are trained alone, and how many of them."""

from pathlib import Path
from typing import Any

import pytest

from nas.errors import UserError
from nas.runs import FinetuneConfig
from nas.search.diagnosis.picking import PickRule
from nas.search.diagnosis.plan import DiagnosisPlan, counts, lone_recipe, pick_rule
from nas.search.diagnosis.settings import DiagnosisSettings

FILE = Path("run/diagnosis/plan.json")


def recipe(
    former: FinetuneConfig | None = None, *, images: int | None = None, **fields: Any
) -> FinetuneConfig:
    finetune = FinetuneConfig.model_validate({"epochs": 2, "batch": 8, **fields})
    settings = DiagnosisSettings(images=images)
    return lone_recipe(finetune, settings, former, samples=101, where=FILE)


def test_alone_means_without_a_teacher_and_anything_inherited_and_apart_from_the_search_split() -> None:
    found = recipe(
        teacher="teacher.safetensors",
        distillation=0.4,
        search_split=True,
        init={"backbone": "backbone.safetensors"},
        optimizer={"lr": 0.5},
    )
    assert (found.teacher, found.distillation, found.search_split, found.init) == (None, 0.0, False, None)
    assert (found.batch, found.optimizer.lr) == (8, 0.5)
    zeroed = recipe(init={"zero_residual": True}).init
    assert zeroed is not None
    assert zeroed.zero_residual


def test_the_length_is_told_in_images() -> None:
    assert (recipe().images, recipe().epochs, recipe().steps) == (208, None, None)  # 26 steps of 8
    given = recipe(images=64)
    assert (given.images, given.total_steps(101)) == (64, 8)
    assert FinetuneConfig.model_validate(given.model_dump(mode="json")) == given
    # Left out it is as before, whatever the run's section says by now.
    assert recipe(given, epochs=9) == given
    with pytest.raises(
        UserError, match=r"run/diagnosis .* `images` \(64 there, 65 now\); go on with the former"
    ):
        recipe(given, images=65)
    with pytest.raises(UserError, match=r"`optimizer\.lr`"):
        recipe(given, optimizer={"lr": 0.5})


def test_what_is_left_out_is_as_before() -> None:
    former = PickRule(bins=3, heads=("simcc",), seed=4)
    assert pick_rule(DiagnosisSettings(), None, FILE) == PickRule()
    assert pick_rule(DiagnosisSettings(), former, FILE) == former
    assert pick_rule(DiagnosisSettings(bins=3, heads=["simcc"]), former, FILE) == former
    with pytest.raises(UserError, match=r"`seed` \(4 there, 0 now\)"):
        pick_rule(DiagnosisSettings(seed=0), former, FILE)


def test_networks_and_seeds_may_be_more_or_fewer() -> None:
    former = DiagnosisPlan(PickRule(), recipe(), 3, "digest", ())
    assert counts(DiagnosisSettings(), None) == (12, 2)
    assert counts(DiagnosisSettings(networks=5, seeds=1), former) == (5, 1)
    assert counts(DiagnosisSettings(networks=5), former) == (5, 3)


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    assert DiagnosisPlan.load(tmp_path / "plan.json") is None
    plan = DiagnosisPlan(PickRule(max_ms=2.5, heads=("simcc",)), recipe(images=64), 3, "digest", ())
    plan.save(tmp_path / "plan.json")
    assert DiagnosisPlan.load(tmp_path / "plan.json") == plan
