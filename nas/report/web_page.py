"""A page that runs a network in the browser, with all that it needs inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.codecs.affine import BORDER_COLOUR
from nas.codecs.exported import POSES, ExportedNetwork
from nas.errors import UserError
from nas.files import write_text
from nas.pages import render
from nas.runtime.drawing import MIDDLE, joint_colours
from nas.runtime.poses import BODY_MARGIN, MIN_KEYPOINT, MIN_POSE, THINNEST
from nas.runtime.session import open_network

LIBRARY = "ort.wasm.bundle.min.mjs"
BINARY = "ort-wasm-simd-threaded.wasm"
_WHOM = {"crop": "one person", "image": "all people"}
_PLACES = (".", "dist", "package/dist", "node_modules/onnxruntime-web/dist", "onnxruntime-web/dist")


def write_web_page(model: Path, library: Path, page: Path) -> None:
    """Write a page that runs an exported network on pictures and on the camera; it loads nothing.

    Args:
        model: a file of pixels (`uint8_input`) that gives poses, of one image or any number of them.
        library: the folder of the npm package onnxruntime-web, or one that it was installed or unpacked in.
        page: the HTML file.

    Raises:
        UserError: the network is another, or the library is not there.
    """
    network = ExportedNetwork.of(session := open_network(model, threads=1), str(model))
    if network is None:
        raise UserError(f"{model}: this ONNX file was not written by `nas export`")
    if not network.pixels or network.batch not in (1, None):
        raise UserError(
            f"{model}: a page needs a file that takes pixels, one picture at a time: of `nas export` with "
            "`uint8_input`"
        )
    if not {node.name for node in session.get_outputs()} >= POSES:
        raise UserError(
            f"{model}: its head {network.arch.head.type!r} gives candidates, which Python groups into poses; "
            "a page needs a head that gives poses"
        )
    folder = _find(library)
    height, width = network.arch.resolution
    content = render(
        "web.html",
        title=model.stem,
        subtitle=f"{len(network.skeleton)} keypoints of {_WHOM[network.task]}, input {width} x {height}.",
        config=_config(network),
        library=(folder / LIBRARY).read_bytes(),
        binary=(folder / BINARY).read_bytes(),
        model=model.read_bytes(),
    )
    write_text(page, content)


def _config(network: ExportedNetwork) -> dict[str, Any]:
    """What the page's program has to know."""
    height, width = network.arch.resolution
    skeleton = network.skeleton
    return {
        "height": height,
        "width": width,
        "task": network.task,
        "padding": network.padding,
        "margin": BODY_MARGIN,
        "thinnest": THINNEST,
        "minPose": MIN_POSE,
        "minKeypoint": MIN_KEYPOINT,
        "border": _css(BORDER_COLOUR),
        "keypoints": skeleton.keypoints,
        "limbs": skeleton.limb_index,
        "colours": [_css(colour) for colour in joint_colours(skeleton)],
        "middle": _css(MIDDLE),
    }


def _find(library: Path) -> Path:
    """Where the two files of onnxruntime-web lie. Raises UserError where they are not there."""
    for place in _PLACES:
        if (library / place / LIBRARY).is_file() and (library / place / BINARY).is_file():
            return library / place
    raise UserError(
        f"{library}: there is no {LIBRARY} with {BINARY} in it; unpack what `npm pack onnxruntime-web` "
        "fetches, and name that folder with `library`"
    )


def _css(colour: Sequence[float]) -> str:
    red, green, blue = (round(channel) for channel in colour)
    return f"rgb({red}, {green}, {blue})"
