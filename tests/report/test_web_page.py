"""The page that runs a network in a browser: what is in it and, where browser and library are, what it does.

onnxruntime-web is found in the folder that ONNXRUNTIME_WEB names, or in node_modules of the clone; nothing is
fetched.
"""

import base64
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from browser import chromium, find_chromium
from head_samples import small_arch

from nas.cli.main import run
from nas.demo.people import generate
from nas.errors import UserError
from nas.graph import OnnxForm, export_onnx
from nas.models import PoseNet, calibrate, transfer
from nas.pictures import read_picture
from nas.report.web_page import BINARY, LIBRARY, write_web_page
from nas.runtime import OnnxModel, PosePipeline

ROOT = Path(__file__).resolve().parents[2]
BOX = (150, 20, 230, 180)
DRAWN = f"""
for (const [kind, x, y] of [["down", {BOX[0]}, {BOX[3]}], ["up", {BOX[2]}, {BOX[1]}]]) {{
  const edge = view.getBoundingClientRect(), scale = edge.width / view.width;
  view.dispatchEvent(
    new PointerEvent(`pointer${{kind}}`, {{ clientX: edge.left + x * scale, clientY: edge.top + y * scale }})
  );
}}
"""
"""Of a pointer that draws that box on the picture."""


def network(path: Path, head: str, form: OnnxForm) -> Path:
    arch = small_arch(head)
    torch.manual_seed(0)
    net = PoseNet(arch, "coco17")
    export_onnx(
        transfer(net, arch, calibrate(net, arch, torch.randn(4, 3, *arch.resolution))), path, form=form
    )
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return network(folder / "net.onnx", "regression", OnnxForm(batch=None, uint8_input=True))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Files of the library's names."""
    (tmp_path / "package/dist").mkdir(parents=True)
    (tmp_path / "package/dist" / LIBRARY).write_text("export const nothing = '</script>';")
    (tmp_path / "package/dist" / BINARY).write_bytes(bytes(range(256)))
    return tmp_path


def test_all_that_it_needs_is_inside(model: Path, library: Path, tmp_path: Path) -> None:
    page = tmp_path / "own.html"
    assert run(["web", str(model), "--library", str(library), "--out", str(page)]) == 0
    text = page.read_text()
    held = dict(re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)</script>', text))
    files = {name: base64.b64decode(content) for name, content in held.items()}
    assert files == {
        "library": (library / "package/dist" / LIBRARY).read_bytes(),
        "binary": bytes(range(256)),
        "model": model.read_bytes(),
    }
    (config,) = re.findall(r'<script type="application/json" id="config">([^<]*)</script>', text)
    about = json.loads(config)
    assert (about["height"], about["width"], about["task"]) == (64, 96, "crop")
    assert len(about["keypoints"]) == len(about["colours"]) == 17
    assert about["colours"][about["keypoints"].index("left_knee")] == "rgb(66, 135, 245)"
    assert text.count("<script") == 5
    shell = re.sub(r'id="(library|binary|model)">[^<]*', "", text)
    assert not re.findall(r"https?:|\bsrc=|fetch\(|XMLHttpRequest", shell)
    assert "default-src 'none'" in shell
    assert "connect-src" not in shell


def test_what_no_page_runs_is_told(model: Path, library: Path, tmp_path: Path) -> None:
    cases = {
        "takes pixels, one picture at a time": network(tmp_path / "a.onnx", "integral", OnnxForm()),
        "'associative_embedding' gives candidates": network(
            tmp_path / "c.onnx", "associative_embedding", OnnxForm(uint8_input=True)
        ),
    }
    for said, path in cases.items():
        with pytest.raises(UserError, match=said):
            write_web_page(path, library, tmp_path / "page.html")
    with pytest.raises(UserError, match=r"there is no ort\.wasm\.bundle\.min\.mjs"):
        write_web_page(model, tmp_path / "package" / "absent", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the real library."""
    place = Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / "node_modules" / "onnxruntime-web"))
    if find_chromium() is None:
        pytest.skip("there is no Chromium")
    if not place.is_dir():
        pytest.skip("onnxruntime-web is in no folder: ONNXRUNTIME_WEB names one (npm pack onnxruntime-web)")
    page = tmp_path_factory.mktemp("page") / "net.html"
    write_web_page(model, place, page)
    return page


def test_a_browser_finds_what_python_finds(whole: Path, model: Path, tmp_path: Path) -> None:
    generate(tmp_path / "people", images=1, seed=2)
    (picture,) = (tmp_path / "people" / "images").iterdir()
    pipeline = PosePipeline(OnnxModel(model))
    expected, cropped = pipeline(picture), pipeline(picture, boxes=[np.array(BOX) - 0.5])
    with chromium(tmp_path / "browser") as page:
        page.open(whole, width=1440)
        page.wait("!document.getElementById('file').disabled")
        page.choose_file("#file", picture)
        found = json.loads(page.wait("(t => t !== '[]' && t)(document.getElementById('people').textContent)"))
        height, wide = read_picture(picture).shape[:2]
        assert page.value("[view.width, view.height]") == [wide, height]
        for width in (1440, 390):
            page.resize(width)
            assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
            page.screenshot(tmp_path / f"{width}.png")
            assert cv2.imread(str(tmp_path / f"{width}.png")).shape[1] == width
        page.value(DRAWN)
        said = "document.getElementById('status').textContent"
        page.wait(f"!{said}.includes('Draw a box')")
        boxed = json.loads(page.value("document.getElementById('people').textContent"))
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert sum(url.startswith("file:") for url in page.requests) == 1
    for (person,), (keypoints, score) in (
        (found, (expected.keypoints[0], expected.scores[0])),
        (boxed, (cropped.keypoints[0], cropped.scores[0])),
    ):
        # Browsers shrink pictures in their own way: some grey levels differ.
        apart = np.linalg.norm(np.array(person["keypoints"])[:, :2] - keypoints[:, :2], axis=1)
        assert np.median(apart) < 0.01 * max(height, wide)
        assert person["score"] == pytest.approx(score, abs=0.1)
    assert np.abs(expected.keypoints - cropped.keypoints).max() > 10


@pytest.mark.slow
def test_a_browser_looks_through_the_camera(whole: Path, tmp_path: Path) -> None:
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(tmp_path / "browser", *flags) as page:
        page.open(whole, width=1440)
        page.wait("!document.getElementById('file').disabled")
        page.value("document.getElementById('camera').click()")
        assert "pictures a second" in page.wait(
            "(t => t.includes('a second') && t)(document.getElementById('status').textContent)"
        )
        assert page.value("document.getElementById('camera').getAttribute('aria-pressed')") == "true"
        page.value("document.getElementById('camera').click()")
        assert page.value("document.getElementById('camera').getAttribute('aria-pressed')") == "false"
        assert page.complaints == []
