"""Writing a whole set of generated people."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nas.data.threads import Progress
from nas.demo.people.anatomy import Build, landmarks
from nas.demo.people.folder import PeopleFolder, Settings
from nas.demo.people.scene import render_scene
from nas.errors import UserError
from nas.files import write_bytes
from nas.interrupt import leave_to_parent
from nas.space.skeleton import Skeleton

DEFAULT_SIZE = (224, 288)
_PART = 50  # images of a piece: what an interrupted run loses at most per worker
_QUALITY = (55, 95)  # of the JPEG files, lowest and highest
_SMALLEST = 64  # px


def generate(
    folder: str | Path,
    *,
    images: int,
    seed: int,
    size: tuple[int, int] = DEFAULT_SIZE,
    people_per_image: tuple[int, int] = (1, 3),
    skeleton: str | Skeleton = "coco17",
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Write a COCO keypoint folder of generated people.

    The same settings give the same files, whatever the number of workers. A finished folder of the same
    settings is left as it is; an interrupted one is completed. Use different seeds for train and val.

    Args:
        folder: gets `images/*.jpg` and `annotations/people.json`.
        images: how many pictures.
        seed: of all that is random.
        size: h, w of every picture (px).
        people_per_image: fewest and most; one that finds no room is left out.
        skeleton: which joints are labelled.
        workers: processes; above 1 a script needs the usual `if __name__ == "__main__"`.
        progress: called with the images done and their total.

    Returns:
        The annotation file.

    Raises:
        UserError: settings that make no sense, joints that cannot be drawn, a folder of other contents.
    """
    joints = skeleton if isinstance(skeleton, Skeleton) else Skeleton.load(skeleton)
    _check(images, size, people_per_image, joints)
    home = PeopleFolder(
        Path(folder), Settings(images, seed, size, people_per_image, joints.name, joints.keypoints)
    )
    if home.is_finished():
        return home.annotations
    home.prepare()
    numbers = range(-(-images // _PART))
    parts = {number: part for number in numbers if (part := home.part(number)) is not None}
    missing = [number for number in numbers if number not in parts]
    done = sum(map(len, parts.values()))
    for number, part in _render_parts(partial(_render_part, home, joints), missing, workers):
        parts[number] = part
        done += len(part)
        if progress is not None:
            progress(done, images)
    return home.finish((parts[number] for number in numbers), joints)


def _check(images: int, size: tuple[int, int], people_per_image: tuple[int, int], skeleton: Skeleton) -> None:
    if images < 1:
        raise UserError(f"generated people: images is {images}, but must be at least 1")
    if min(size) < _SMALLEST:
        raise UserError(f"generated people: size (h, w) is {size}, but both must be at least {_SMALLEST} px")
    fewest, most = people_per_image
    if not 1 <= fewest <= most:
        raise UserError(
            f"generated people: people_per_image is {people_per_image}, expected 1 <= fewest <= most"
        )
    known = landmarks(Build())
    unknown = [name for name in skeleton.keypoints if name not in known]
    if unknown:
        raise UserError(
            f"generated people: skeleton {skeleton.name!r} has joints that cannot be drawn "
            f"({', '.join(unknown)}); known are {', '.join(known)}"
        )


def _render_parts(
    render: Callable[[int], list[dict[str, Any]]], numbers: list[int], workers: int
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Pieces as they are finished."""
    if workers <= 1 or len(numbers) <= 1:
        for number in numbers:
            yield number, render(number)
        return
    # Spawned, because forking a process whose libraries run threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(numbers)), mp_context=context, initializer=_start_worker
    ) as pool:
        running = {pool.submit(render, number): number for number in numbers}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BrokenProcessPool:
            raise UserError(
                "generated people: a worker process was killed, most likely for want of memory; the same "
                "call goes on from what is drawn, with fewer workers in less memory"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    leave_to_parent()


def _render_part(home: PeopleFolder, skeleton: Skeleton, number: int) -> list[dict[str, Any]]:
    first = number * _PART
    indices = range(first, min(first + _PART, home.settings.images))
    part = [_render_image(home, skeleton, index) for index in indices]
    home.write_part(number, part)
    return part


def _render_image(home: PeopleFolder, skeleton: Skeleton, index: int) -> dict[str, Any]:
    settings = home.settings
    rng = np.random.default_rng((settings.seed, index))
    scene = render_scene(
        rng, size=settings.size, people_per_image=settings.people_per_image, skeleton=skeleton
    )
    name = home.image_name(index)
    quality = int(rng.integers(_QUALITY[0], _QUALITY[1] + 1))
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise RuntimeError(f"OpenCV could not encode {name}")
    write_bytes(home.images / name, data.tobytes())
    h, w = settings.size
    return {"id": index + 1, "file_name": name, "height": h, "width": w, "people": scene.people}
