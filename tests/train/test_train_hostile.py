"""Files from elsewhere that try to run code."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from tiny_training import RecipeMaker

from nas.digests import file_digest
from nas.errors import UserError
from nas.models import PoseNet
from nas.runs import RunFolder, load_config
from nas.runs.override import override
from nas.space import SearchSpace, Skeleton
from nas.train import initialise, train_supernet
from nas.train.checkpoint import CheckpointStore


class Malicious:
    """Leaves a file behind when it is unpickled by a plain pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Exists once code ran. That it would be made is checked first."""
    path = tmp_path / "ran"
    pickle.loads(pickle.dumps(Malicious(path)))
    assert path.exists()
    path.unlink()
    return path


@pytest.mark.parametrize("name", ["w.pth.tar", "w.pth", "w.pt", "w.tar"])
@pytest.mark.parametrize("old_format", [False, True])
def test_initial_weights_cannot_run_code(
    tiny_space: SearchSpace, tmp_path: Path, mark: Path, name: str, old_format: bool
) -> None:
    path = tmp_path / name
    content = {"state_dict": {"first.0.0.weight": torch.zeros(1), "x": Malicious(mark)}}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(UserError, match="not loaded") as caught:
        initialise(PoseNet(tiny_space, "coco17"), path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["w.pth.tar", "w.safetensors"])
@pytest.mark.parametrize("kind", ["pickle", "noise", "empty", "zip"])
def test_initial_weights_of_no_format_are_one_line(
    tiny_space: SearchSpace, tmp_path: Path, mark: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Malicious(mark)))
    else:
        contents = {"pickle": pickle.dumps(Malicious(mark)), "noise": bytes(range(256)) * 4, "empty": b""}
        path.write_bytes(contents[kind])
    with pytest.raises(UserError, match=r"w\.") as caught:
        initialise(PoseNet(tiny_space, "coco17"), path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_a_checkpoint_with_code_and_the_right_digests_stops_the_run(
    make_config: RecipeMaker, tmp_path: Path, mark: Path
) -> None:
    run = train_supernet(make_config(steps=3), tmp_path / "run")
    run.weights_file.unlink()
    path = CheckpointStore(run.path / "checkpoints", keep=2).paths()[-1]
    torch.save({"optimizer": Malicious(mark)}, path / "state.pt")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"]["state.pt"] = file_digest(path / "state.pt")
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="holds more than plain values"):
        train_supernet(make_config(steps=3), tmp_path / "run")
    assert not mark.exists()


def document(mark: Path) -> str:
    return f"name: !!python/object/apply:os.mkdir ['{mark}']\n"


def test_yaml_cannot_run_code(make_config: RecipeMaker, tmp_path: Path, mark: Path) -> None:
    yaml.unsafe_load(document(mark))
    assert mark.exists()
    mark.rmdir()
    path = tmp_path / "hostile.yaml"
    path.write_text(document(mark))
    for load in (load_config, SearchSpace.load, Skeleton.load):
        with pytest.raises(UserError):
            load(str(path))
    with pytest.raises(UserError):
        override({}, [document(mark).strip().replace("name: ", "name=")])
    run = RunFolder.start(tmp_path / "run", make_config())
    run.config_file.write_text(document(mark))
    with pytest.raises(UserError):
        run.config()
    assert not mark.exists()
