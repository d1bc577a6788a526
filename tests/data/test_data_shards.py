"""Images in shards are the images of the folder."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from nas.cli.main import run
from nas.data import Annotations, AugmentConfig, KeypointDataset, SampleRequest, load_annotations
from nas.data.check import check_dataset
from nas.data.images import decode
from nas.data.shards import MIB, members_of, shards_of, write_shards
from nas.errors import UserError
from nas.pictures import UnreadablePictureError
from nas.space.skeleton import Skeleton


def files_of(annotations: Annotations) -> list[tuple[str, Path]]:
    assert annotations.folder is not None
    return [(image.file, annotations.folder / image.file) for image in annotations.images]


@pytest.fixture
def sharded(dotted: Annotations, tmp_path: Path, skeleton: Skeleton) -> Annotations:
    """The dotted set with its images in several shards."""
    largest = 2 * max(file.stat().st_size for _, file in files_of(dotted))
    written = write_shards(files_of(dotted), tmp_path / "shards", largest_mib=largest / MIB)
    assert 1 < len(written) < len(dotted.images)
    return load_annotations(dotted.path, tmp_path / "shards", skeleton)


def test_shards_hold_the_bytes_of_the_files_in_order(dotted: Annotations, sharded: Annotations) -> None:
    assert sharded.folder is not None
    members = members_of(shards_of(sharded.folder))
    assert list(members) == [name for name, _ in files_of(dotted)]
    for name, file in files_of(dotted):
        assert members[name].read_bytes() == file.read_bytes()


def test_they_are_checked_as_files_are(sharded: Annotations) -> None:
    assert check_dataset(sharded.path, sharded.folder).problems == 0
    content = json.loads(sharded.path.read_text())
    content["images"][0]["file_name"] = "absent.png"
    sharded.path.write_text(json.dumps(content))
    report = check_dataset(sharded.path, sharded.folder)
    assert {finding.kind.name: finding.count for finding in report.findings} == {"image_missing": 1}


@pytest.mark.parametrize("cache_mib", [0, 10])
def test_samples_are_those_of_the_folder(dotted: Annotations, sharded: Annotations, cache_mib: int) -> None:
    augment = AugmentConfig.model_validate("weak")
    plain, packed = (
        KeypointDataset([source], task="crop", augment=augment, cache_mib=cache_mib)
        for source in (dotted, sharded)
    )
    requests = [SampleRequest(index, (index,), (64, 48)) for index in (5, 0, 3, 3, 1)]
    for request in requests:
        np.testing.assert_array_equal(packed[request].image, plain[request].image)
    loader = DataLoader(packed, sampler=requests, batch_size=None, num_workers=2)
    for request, sample in zip(requests, loader, strict=True):
        np.testing.assert_array_equal(sample.image, plain[request].image)


def test_shards_of_other_tools_are_read(dotted: Annotations, tmp_path: Path) -> None:
    """Folders inside, a leading ./, other files beside the images."""
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(dotted.folder, arcname="./photos")
        archive.add(dotted.path, arcname="./photos/1.json")
    members = members_of([tmp_path / "all.tar"])
    assert {f"photos/{name}" for name, _ in files_of(dotted)} | {"photos/1.json"} == set(members)


def test_a_missing_image_is_named_as_in_a_folder(sharded: Annotations) -> None:
    assert sharded.folder is not None
    shards_of(sharded.folder)[0].unlink()
    with pytest.raises(UnreadablePictureError, match=r"shards/1.png: the file is missing"):
        decode(sharded.image_file(0), sharded.images[0].size)


def test_a_shard_that_was_cut_short_costs_its_last_images(sharded: Annotations) -> None:
    last = len(sharded.images) - 1
    member = sharded.image_file(last)
    assert not isinstance(member, Path)
    content = member.shard.read_bytes()
    member.shard.write_bytes(content[: member.offset + member.size // 2])
    with pytest.raises(
        UnreadablePictureError, match=rf"{member.shard.name}/{member.name}: the PNG is cut short"
    ):
        decode(member, sharded.images[last].size)


def test_what_is_no_shard_is_refused(tmp_path: Path, sharded: Annotations) -> None:
    assert sharded.folder is not None
    shutil.copy(shards_of(sharded.folder)[0], sharded.folder / "again.tar")
    with pytest.raises(UserError, match=r"again.tar/1.png: 000000.tar holds an image of this name, too"):
        members_of(shards_of(sharded.folder))
    (tmp_path / "noise.tar").write_bytes(b"noise" * 1000)
    with pytest.raises(UserError, match=r"noise.tar: cannot be read as an uncompressed tar file"):
        members_of([tmp_path / "noise.tar"])


def test_nothing_is_left_where_an_image_is_missing(dotted: Annotations, tmp_path: Path) -> None:
    files = files_of(dotted)
    files[-1][1].unlink()
    with pytest.raises(UserError, match=r"6\.png: cannot be read .No such file.*no shards were written"):
        write_shards(files, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_the_command_packs_what_a_recipe_then_names(dotted: Annotations, tmp_path: Path) -> None:
    assert dotted.folder is not None
    command = ["data", "shard", str(dotted.path), str(dotted.folder), "--out", str(tmp_path / "packed")]
    assert run(command) == 0
    assert len(members_of(shards_of(tmp_path / "packed"))) == 6
    assert run(command) == 2, "nothing is written over"
