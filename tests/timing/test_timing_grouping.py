"""The work outside the graph."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bare_environment import bare_python
from latency_samples import small_network

from nas.space import ArchManager, HeadSpec, SearchSpace, Skeleton, names, part
from nas.timing import Network, Protocol, time_networks
from nas.timing.grouping import Grouping
from nas.timing.networks import grouping
from nas.timing.pack import needed_packages, write_pack
from nas.timing.pack_program import build_program

SHAPES = {"candidates": (17, 30, 4), "heatmap": (17, 128, 128), "tag_map": (17, 128, 128, 1)}
RANKED = Grouping("ranked_codec:RankedCodec", Skeleton.load("coco17"), (64, 64), (), (4,))


def test_random_candidates_group_into_so_many_people() -> None:
    arch = ArchManager(SearchSpace.load("litepose")).smallest()
    codec_work = grouping(arch, Skeleton.load("coco17"), people=7)(SHAPES)
    poses = codec_work()
    assert len(poses) == 7  # type: ignore[arg-type]


def test_the_module_that_a_codec_lacks_is_named() -> None:
    work = grouping(ArchManager(SearchSpace.load("demo")).smallest(), Skeleton.load("coco17"))
    assert work.missing() is None
    assert replace(work, codec="absent_package.codec:Codec").missing() == "absent_package"


def _ranked_network() -> Network:
    """A network with an output that none of our heads has."""

    def model() -> bytes:
        from onnx import TensorProto, helper

        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            [helper.make_node("Relu", ["images"], ["order"])],
            "ranked",
            [info("images", TensorProto.FLOAT, [1, 17, 64])],
            [info("order", TensorProto.FLOAT, [1, 17, 64])],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return bytes(made.SerializeToString())

    return replace(small_network("ranked"), model=model, outside=RANKED)


def test_a_head_from_elsewhere_is_timed_on_what_its_codec_says_is_typical(tmp_path: Path) -> None:
    """Of other values its grouping would raise."""
    (timing,) = time_networks([_ranked_network()], protocol=Protocol(visits=1, warmups=1, runs=2))
    assert timing.outside_ms > 0
    manifest = write_pack(tmp_path / "pack", [_ranked_network()])
    assert needed_packages(manifest) == ("an-assignment-solver", "numpy", "onnxruntime")


def test_codecs_name_the_packages_that_they_need(tmp_path: Path) -> None:
    """On a device with numpy alone: those load that name none, and those alone."""
    (tmp_path / "program.pyz").write_bytes(build_program())
    specs = {name: part(HeadSpec, name) for name in names(HeadSpec)}
    codecs = {name: spec.codec for name, spec in specs.items() if spec.codec.startswith("nas.")}
    code = f"""
import json, sys
sys.path.insert(0, {str(tmp_path / "program.pyz")!r})
from nas.timing.grouping import Grouping
from nas.timing import LatencyTable
codecs = {codecs!r}
print(json.dumps({{name: Grouping(codec, None, (1, 1), (), ()).missing() for name, codec in codecs.items()}}))
"""
    python, environment = bare_python(tmp_path / "site")
    done = subprocess.run([*python, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    missing = {name: (module or "").partition(".")[0] for name, module in json.loads(done.stdout).items()}
    assert missing == {name: "".join(specs[name].load_codec().packages) for name in codecs}


@pytest.mark.parametrize("head", ["simcc", "regression"])
def test_direct_heads_get_coordinates_within_the_input(head: str) -> None:
    codec = part(HeadSpec, head).load_codec()(Skeleton.load("coco17"), (64, 32))
    shapes = {"keypoints": (1, 17, 3), "scores": (1,)}
    candidates = codec.typical_candidates(shapes, people=1, rng=np.random.default_rng(0))
    assert {name: value.shape for name, value in candidates.items()} == shapes
    assert candidates["keypoints"][..., 1].max() > 32  # y reaches beyond the width
    assert candidates["keypoints"][..., 0].max() <= 32
