"""How fast samples are prepared, beside a bare loop that only warps and normalises cached images.

Both run in this process, interleaved, on the same samples and affines; printed are medians in samples
per second. The bare loop's images are decoded and its affines drawn beforehand.

    python benchmarks/loader.py ANNOTATIONS.json IMAGES --skeleton crowdpose14 --head heatmap
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from nas.arrays import Ints, Pixels
from nas.codecs.affine import Affine, invert, warp_image
from nas.codecs.normalise import normalise
from nas.data import Annotations, AugmentConfig, KeypointDataset, SampleRequest, load_annotations
from nas.data.images import read_annotated
from nas.space.arch import Head
from nas.space.options import freeze_options
from nas.space.parts import part
from nas.space.skeleton import Skeleton
from nas.space.specs import HeadSpec

Loop = Callable[[Ints], object]


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    cv2.setNumThreads(0)
    spec = part(HeadSpec, arguments.head)
    height, width = arguments.resolution
    skeleton = Skeleton.load(arguments.skeleton)
    annotations = load_annotations(arguments.annotations, arguments.images, skeleton).first(256)
    augment = AugmentConfig.read(arguments.augment, "--augment")
    dataset = KeypointDataset([annotations], task=spec.task, augment=augment, cache_mib=None)
    bare, whole = _loops(dataset, annotations, spec, (height, width))
    drawn = np.random.default_rng(0).integers(len(dataset), size=(arguments.rounds + 3, arguments.batch))
    speeds = compare(bare, whole, drawn)
    print(f"{spec.name} at {height} x {width}, augmentation {augment.preset}, batches of {arguments.batch}")
    print(f"  warp and normalise only   {speeds[0]:8.0f} samples/s")
    print(f"  whole sample path         {speeds[1]:8.0f} samples/s   {speeds[1] / speeds[0]:.0%}")


def compare(first: Loop, second: Loop, drawn: Ints) -> tuple[float, float]:
    """Median samples per second of two loops, run in turn on each row of samples; three rounds warm up."""
    seconds = np.zeros((len(drawn), 2))
    for row, indices in enumerate(drawn):
        for column, loop in enumerate((first, second)):
            start = time.perf_counter()
            loop(indices)
            seconds[row, column] = (time.perf_counter() - start) / len(indices)
    medians = 1 / np.median(seconds[3:], axis=0)
    return float(medians[0]), float(medians[1])


def _loops(
    dataset: KeypointDataset, annotations: Annotations, spec: HeadSpec, resolution: tuple[int, int]
) -> tuple[Loop, Loop]:
    head = Head(spec.name, freeze_options(spec.options))
    requests = [SampleRequest(index, (0, index), resolution, head) for index in range(len(dataset))]
    position = {image.id: index for index, image in enumerate(annotations.images)}
    photographs: list[Pixels] = []
    affines: list[Affine] = []
    for request in requests:
        sample = dataset[request]
        image = position[sample.id.image]
        photographs.append(read_annotated(annotations, image))
        affines.append(invert(sample.inverse))

    def bare(indices: Ints) -> None:
        for index in indices:
            normalise(warp_image(photographs[index], affines[index], resolution))

    def whole(indices: Ints) -> None:
        dataset.batch([requests[index] for index in indices])

    return bare, whole


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--skeleton", default="coco17")
    parser.add_argument("--head", default="heatmap")
    parser.add_argument("--resolution", type=int, nargs=2, default=(128, 96), metavar=("H", "W"))
    parser.add_argument("--augment", default="weak")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    main()
