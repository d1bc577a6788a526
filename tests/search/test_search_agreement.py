"""Which runs can be searched as one, and what is refused."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lock_holder import Holder

from nas.cli.main import run as nas
from nas.data import draw_search_split, load_annotations
from nas.demo.people import generate
from nas.errors import UserError
from nas.runs import RunData, RunFolder, load_config
from nas.search.agreement import require_alike, require_same_people
from nas.search.settings import SearchSettings
from nas.search.together import search_together
from nas.space import SearchSpace, Skeleton

RUNS = [RunFolder("runs/first"), RunFolder("runs/second")]

FREE = 5001
"""An id of an image whose hash is not among the least: it is for training."""


def looks_trained(folder: Path, *changes: str, weights: str = "") -> RunFolder:
    """A run folder that has weights, of a kind."""
    run = RunFolder.start(folder, load_config("demo", ["threads=1", *changes]))
    run.weights_file.write_text(weights or folder.name)
    return run


def test_runs_of_other_spaces_and_seeds_are_alike(tmp_path: Path) -> None:
    runs = [looks_trained(tmp_path / name, f"space={name}") for name in ("demo", "person-crop", "rtmpose")]
    require_alike([*runs, looks_trained(tmp_path / "seed", "seed=1")])


@pytest.mark.parametrize(
    ("changes", "weights", "said"),
    [
        (
            ["space=movenet"],
            "",
            r"second: its networks look at whole pictures, those of .*first at one",
        ),
        (["skeleton=crowdpose14"], "", r"second: its skeleton crowdpose14 has other keypoints, .*sigmas"),
        (["space=person-crop"], "first", r"second: the same supernet as .*first; leave it out"),
    ],
)
def test_other_tasks_skeletons_and_copies_are_refused(
    tmp_path: Path, changes: list[str], weights: str, said: str
) -> None:
    first = looks_trained(tmp_path / "first")
    with pytest.raises(UserError, match=said) as caught:
        require_alike([first, looks_trained(tmp_path / "second", *changes, weights=weights)])
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="the same supernet as"):
        require_alike([first, RunFolder(tmp_path / "first" / ".." / "first")])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A set of photographs of the demo."""
    return generate(tmp_path / "people", images=14, seed=1)


def data_of(*files: Path) -> RunData:
    """What a run has that was started with these sets."""
    skeleton = Skeleton.load("coco17")
    sources = tuple(load_annotations(file, None, skeleton) for file in files)
    return RunData(load_config("demo"), SearchSpace.load("demo"), sources, draw_search_split(sources))


def changed(people: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The set in a folder of its own, with other annotations."""
    folder = Path(shutil.copytree(people.parents[1], people.parents[2] / name))
    file = folder / people.parent.name / people.name
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return file


def kept(data: RunData) -> list[int]:
    """The images that are kept for the search, by their ids."""
    return [image.id for part in data.search for image in part.images]


def move_a_joint(images: Sequence[int], *, of_them: bool) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        person = next(p for p in content["annotations"] if (p["image_id"] in images) == of_them)
        labelled = next(place for place in range(2, 51, 3) if person["keypoints"][place])
        person["keypoints"][labelled - 1] += 1

    return change


def test_runs_that_were_started_apart_keep_the_same_people(people: Path) -> None:
    """Whatever folder the data lie in; nobody of them is in the training of any."""
    first = data_of(people)
    second = data_of(changed(people, "moved", lambda content: None))
    assert kept(first) == kept(second) != []
    for data in (first, second):
        assert not set(kept(data)) & {i.id for part in data.split.train(data.sources) for i in part.images}
    require_same_people(RUNS, [first, second])
    # Another label of somebody that no network is scored on is another training, no other measure.
    relabelled = changed(people, "relabelled", move_a_joint(kept(first), of_them=False))
    require_same_people(RUNS, [first, data_of(relabelled)])


def test_other_people_are_refused_whatever_their_ids(people: Path) -> None:
    first = data_of(people)

    def rename(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["file_name"] = f"other/{image['file_name']}"

    def renumber(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["id"] += 1000
        for person in content["annotations"]:
            person["image_id"] += 1000

    cases = [
        (rename, "keeps other images for the search than runs/first"),
        (renumber, "keeps other images for the search than runs/first"),
        (move_a_joint(kept(first), of_them=True), "but with other labels"),
    ]
    for number, (change, said) in enumerate(cases):
        second = data_of(changed(people, str(number), change))
        with pytest.raises(UserError, match=f"`also` runs/second: .*{said}"):
            require_same_people(RUNS, [first, second])


def test_who_has_learned_from_the_people_under_other_names_is_refused(people: Path) -> None:
    first = data_of(people)

    def only_the_kept(content: dict[str, Any]) -> None:
        """As another set that lists the same photograph, under an id that the split leaves in training."""
        wanted = kept(first)
        content["images"] = [image for image in content["images"] if image["id"] in wanted]
        content["annotations"] = [p for p in content["annotations"] if p["image_id"] in wanted]
        (image,) = content["images"]
        image |= {"id": FREE, "file_name": f"again/{image['file_name']}"}
        for person in content["annotations"]:
            person["image_id"] = FREE

    second = data_of(people, changed(people, "again", only_the_kept))
    assert kept(second) == kept(first), "the copy is for training"
    for order in (1, -1):
        runs, data = RUNS[::order], [first, second][::order]
        with pytest.raises(UserError, match="runs/second: learned from 1 of the images"):
            require_same_people(runs, data)
    # Where all have, none is ahead.
    require_same_people(RUNS, [second, second])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": Path("d.json")}, "`device` goes by what one run has scored"),
        ({"refine": 3}, "`refine` refits the predictor of one run"),
        ({"prior": Path("runs/old")}, "`prior` is of one space"),
        ({"trials": 1}, "`trials` 1: 2 runs need a network each"),
    ],
)
def test_what_is_of_one_run_alone_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    first, second = looks_trained(tmp_path / "first"), looks_trained(tmp_path / "second")
    settings = replace(SearchSettings(budgets_ms=[10.0]), **change)
    with pytest.raises(UserError, match=said) as caught:
        search_together(first, settings, also=[second])
    assert "\n" not in str(caught.value)


def test_the_command_says_what_does_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = looks_trained(tmp_path / "first"), looks_trained(tmp_path / "second", "space=movenet")
    command = ["search", str(first.path), "--also", str(second.path), "--budget-ms", "10"]
    assert nas([*command, "--worker", "--storage", "sqlite://"]) == 2
    assert "--worker is one of several processes that share the search of a run" in capsys.readouterr().err
    assert nas([*command, "--refine", "2"]) == 2
    assert "--refine refits the predictor of one run" in capsys.readouterr().err
    assert nas(command) == 2
    assert f"--also {second.path}: its networks look at whole pictures" in capsys.readouterr().err
    assert nas(["search", str(first.path), "--also", str(tmp_path / "none"), "--budget-ms", "10"]) == 2
    assert "no run's folder" in capsys.readouterr().err


def test_who_is_in_one_of_the_runs_keeps_the_search_out(tmp_path: Path) -> None:
    first, second = looks_trained(tmp_path / "first"), looks_trained(tmp_path / "second")
    holder = Holder(second.path)
    with pytest.raises(UserError, match=r"second is being written by"):
        search_together(first, SearchSettings(budgets_ms=[10.0]), also=[second])
    with first.alone():
        assert not first.search_folder.exists()
    holder.let_go()


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (("crystal",), "first has none of them, only simcc, heatmap"),
        (("simcc", "crystal"), "`heads` crystal: none of the runs"),
    ],
)
def test_a_head_that_no_run_has_is_refused(tmp_path: Path, heads: tuple[str, ...], said: str) -> None:
    first, second = looks_trained(tmp_path / "first"), looks_trained(tmp_path / "second")
    with pytest.raises(UserError, match=said):
        search_together(first, SearchSettings(budgets_ms=[10.0], heads=heads), also=[second])
