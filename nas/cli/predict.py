"""`nas predict`: poses in photographs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.console import print_json, print_table, say
from nas.errors import UserError

if TYPE_CHECKING:
    from nas.codecs import Poses

_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def predict(
    model: Annotated[Path, typer.Argument(help="A network that `nas export` wrote.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Annotated[Path, typer.Option("--out", help="Folder for the drawings.")] = Path("predictions"),
    boxes: Annotated[
        Path | None,
        typer.Option(help="COCO annotations whose boxes a network for crops is shown; else whole images."),
    ] = None,
    min_score: Annotated[float, typer.Option(help="Poses of a lower score are left out.")] = 0.1,
    min_keypoint: Annotated[float, typer.Option(help="Keypoints of a lower score are not drawn.")] = 0.2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of onnxruntime.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the people in images and draw their poses. Needs no torch."""
    import cv2

    from nas.codecs import Poses
    from nas.runtime import OnnxModel, PosePipeline, draw_poses, read_image

    network = OnnxModel(model, threads=threads)
    pipeline = PosePipeline(network)
    known = _read_boxes(boxes) if boxes else {}
    output.mkdir(parents=True, exist_ok=True)
    documents = []
    for path in _files(images):
        pixels = read_image(path)
        found = pipeline(pixels, known.get(path.name))
        kept = found.scores >= min_score
        poses = Poses(found.keypoints[kept], found.scores[kept])
        drawing = output / f"{path.stem}.png"
        drawn = draw_poses(pixels, poses, network.skeleton, min_keypoint=min_keypoint)
        cv2.imwrite(str(drawing), drawn[..., ::-1])
        documents.append(_document(path, drawing, poses))
    if as_json:
        print_json({"keypoints": list(network.skeleton.keypoints), "images": documents})
        return
    rows = ((d["image"], len(d["poses"]), d["drawing"]) for d in documents)
    print_table(None, ("image", "people", "drawing"), rows)
    say(f"\n{len(documents)} drawings in {output}")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(f"{path}: no images in this folder ({', '.join(sorted(_SUFFIXES))})")
    return found


def _read_boxes(path: Path) -> dict[str, list[list[float]]]:
    """Boxes x0, y0, x1, y1 (px) of the people in each file of a COCO annotation file."""
    import json

    try:
        content = json.loads(path.read_bytes())
        names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
        boxes: dict[str, list[list[float]]] = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            x, y, width, height = annotation["bbox"]
            # COCO boxes are continuous, with 0 at the first pixel's edge; here 0 is its centre.
            box = [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5]
            boxes[names[annotation["image_id"]]].append(box)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a COCO annotation file with boxes") from None
    return boxes


def _document(path: Path, drawing: Path, poses: "Poses") -> dict[str, Any]:
    return {
        "image": str(path),
        "drawing": str(drawing),
        "poses": [
            {"score": float(score), "keypoints": keypoints.tolist()}
            for keypoints, score in zip(poses.keypoints, poses.scores, strict=True)
        ],
    }
