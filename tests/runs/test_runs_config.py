"""Recipes and run folders: every mistake is one line that names the field."""

from pathlib import Path

import pytest
import yaml
from tiny_training import RECIPE, RecipeMaker

from nas.codecs.build import codec_of
from nas.errors import UserError
from nas.files import write_json
from nas.runs import RunFolder, load_config
from nas.runs.override import override
from nas.shipped import shipped_names
from nas.space import ArchManager, Skeleton
from nas.train.schedule import Schedule
from nas.train.weighting import somebody


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    data = {"train": {"annotations": "a.json", "images": "i"}}
    path.write_text(yaml.safe_dump({**RECIPE, "space": "demo", "data": data}))
    return path


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.lr=fast", "optimizer.lr: "),
        ("optimizer.rate=1", "optimizer: unknown field 'rate'; known: name, lr"),
        ("batch=0", "batch: "),
        ("batch=2.5", "batch: "),
        ("distillation.weight=1.5", "distillation.weight: "),
        ("sandwich.largest_first=1.0", "sandwich.largest_first: "),
        ("sandwich.smallest_every=0", "sandwich.smallest_every: "),
        ("sandwich={random: 0, largest_every: 2}", "sandwich: `largest_every` leaves steps to random"),
        ("distillation.temperature=0", "distillation.temperature: "),
        ("sampling.heads=two", "sampling.heads: "),
        ("sampling.fair=macs_and_latency", "sampling.fair: "),
        ("precision=8-bit", "precision: "),
        ("finetune.batch=none", "finetune.batch: "),
        ("ema.decay=1", "ema.decay: "),
        ("colour=red", "unknown field 'colour'"),
    ],
)
def test_a_wrong_field_is_named(recipe: Path, assignment: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(recipe, [assignment])
    assert f"{recipe}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.lr", "expected NAME=VALUE"),
        ("=3", "expected NAME=VALUE"),
        ("batch.size=3", "'batch' holds a value, not fields"),
        ("batch=[", "the value is not YAML"),
    ],
)
def test_a_wrong_assignment_is_told(recipe: Path, assignment: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(recipe, [assignment])


def test_a_teacher_is_weighed_in_one_way(recipe: Path) -> None:
    assert load_config(recipe, ["distillation.normalise=true"]).distillation.normalise
    with pytest.raises(
        UserError, match=r"distillation\.normalise: .*auto. weighs the teacher already"
    ) as caught:
        load_config(recipe, ["distillation.normalise=true", "loss_weighting=auto"])
    assert "\n" not in str(caught.value)


def test_overrides_are_read_as_yaml(recipe: Path) -> None:
    config = load_config(
        recipe, ["optimizer.lr=1e-4", "clip_norm=null", "validation.every=5", "init.weights=w.safetensors"]
    )
    assert config.optimizer.lr == 1e-4
    assert config.clip_norm is None
    assert config.validation.every == 5
    assert config.init is not None
    assert config.init.weights == str(Path.cwd() / "w.safetensors")


def test_one_length_replaces_another(recipe: Path) -> None:
    config = load_config(recipe, ["images=1000", "finetune.epochs=2"])
    assert (config.steps, config.images) == (None, 1000)
    assert config.total_steps(40) == 250
    assert config.finetune.total_steps(40) == 20


def test_two_lengths_are_refused(recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + "\nimages: 10\n")
    with pytest.raises(UserError, match="give one of steps, images, epochs; found steps, images"):
        load_config(recipe)


def test_overrides_leave_the_original_alone() -> None:
    values = {"a": {"b": 1}}
    assert override(values, ["a.b=2", "c.d=3"]) == {"a": {"b": 2}, "c": {"d": 3}}
    assert values == {"a": {"b": 1}}


@pytest.mark.parametrize("content", ["a: [", "- 1\n- 2\n", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"recipe\.yaml: "):
        load_config(path)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"name: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    with pytest.raises(UserError):
        load_config(path)
    assert not (tmp_path / "made").exists()


def test_an_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(UserError, match="person-crop-lsp"):
        load_config("nothing")


@pytest.mark.parametrize("name", shipped_names("supernets", ".yaml"))
def test_shipped_recipes_are_valid(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    space, skeleton = config.load_space(), Skeleton.load(config.skeleton)
    for part in (config.data.augment, getattr(config.data.late_augment, "augment", None)):
        assert part is None or space.task == "image" or not part.mosaic
    for head in space.heads:
        arch = ArchManager(space).smallest(head=head)
        assert codec_of(arch, skeleton).encode(somebody(arch, len(skeleton.keypoints)))


def test_heads_and_necks_of_a_recipe_narrow_its_space() -> None:
    config = load_config("person-crop-photographs")
    space = config.load_space()
    settings = {
        (head, neck, resolution)
        for head in space.heads
        for neck in space.spec.heads[head].necks
        for resolution in space.resolutions
    }
    assert len(settings) == 6
    assert {(head, neck) for head, neck, _ in settings} == {("simcc", "none"), ("heatmap", "fusion_deconv")}
    # As a run writes it down, and reads it back.
    assert type(config).read(config.model_dump(mode="json"), "again") == config
    assert load_config("person-crop-photographs", ["heads={simcc: none}"]).load_space().heads == ("simcc",)
    with pytest.raises(UserError, match=r"heads.*unknown neck 'crystal'"):
        load_config("person-crop-photographs", ["heads={simcc: crystal}"])
    with pytest.raises(UserError, match="heads"):
        load_config("person-crop-photographs", ["heads={}"])


def test_rtmposes_numbers_are_its_papers() -> None:
    """Jiang et al. 2023, table of hyper-parameters."""
    config = load_config("rtmpose-coco")
    steps = config.total_steps(149_813)  # COCO's labelled people
    schedule = Schedule(steps, config.schedule.warmup, config.schedule.flat, config.schedule.final)
    rates = [config.optimizer.lr * schedule.factor(step) for step in (999, steps // 2, steps - 1)]
    assert rates == pytest.approx([4e-3, 4e-3, 2e-4])
    assert 1 - config.ema.decay == pytest.approx(2e-4)
    late = config.data.late_augment
    assert late is not None
    weak_epochs = (steps - late.first_step(steps)) * config.batch / 149_813
    assert weak_epochs == pytest.approx(30, abs=1)
    assert (late.augment.cutout, late.augment.shift) == (0.5, 0)


def test_a_configuration_survives_its_file(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = make_config()
    run = RunFolder.start(tmp_path / "run", config)
    kept = {field: str(tmp_path / "run" / "inputs" / f"{field}.yaml") for field in ("space", "skeleton")}
    assert RunFolder.open(tmp_path / "run").config() == config.model_copy(update=kept)
    assert run.config().load_space() == config.load_space()
    assert run.environment_file.is_file()


def test_another_place_of_the_data_is_no_other_run(make_config: RecipeMaker, tmp_path: Path) -> None:
    config = make_config()
    RunFolder.start(tmp_path / "run", config)
    moved = config.model_copy(update={"data": config.data.model_copy(update={"root": "/elsewhere"})})
    RunFolder.start(tmp_path / "run", moved)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run's folder"):
        RunFolder.open(tmp_path)


def test_a_file_in_the_way_is_told(make_config: RecipeMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder.start(tmp_path / "file" / "run", make_config())


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == '{\n  "a": 1\n}\n'


def test_a_run_on_turned_pictures_does_not_go_on_with_stored_ones(recipe: Path, tmp_path: Path) -> None:
    run = RunFolder.start(tmp_path / "run", load_config(recipe))
    assert run.config().data.orientation == "turned"
    with pytest.raises(
        UserError, match=r"another configuration: data\.orientation \(turned there, stored now\)"
    ):
        RunFolder.start(tmp_path / "run", load_config(recipe, ["data.orientation=stored"]))
