"""Images that two splits share: the same file, the same content, or the same view."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nas.data.check_annotations import CheckedFile, Image
from nas.data.check_images import Fingerprint, Fingerprints
from nas.data.check_report import Example, ExamplePicture, FindingCollector
from nas.data.shards import ImageFile

BITS = 3
"""Images whose dHash differs in at most so many of 64 bits are compared further."""

CORRELATION = 0.97
"""Two images look the same from this correlation of their small brightness pictures on."""

CONTRAST = 6.0
"""Images whose brightness varies by less (standard deviation, of 255) look alike: they are not compared."""

_CHUNKS = BITS + 1


@dataclass(frozen=True, eq=False)
class _Split:
    """The images of a split, and by content."""

    checked: CheckedFile
    label: str
    names: dict[str, Image]
    contents: dict[bytes, Image]


def check_leakage(files: Sequence[CheckedFile], prints: Fingerprints, findings: FindingCollector) -> None:
    """Compare every two splits, and each with itself.

    Files that list exactly the same images (the same people in another notation, say) are one split.

    Args:
        files: the splits with their usable images.
        prints: fingerprints of the images that could be decoded.
        findings: shared images are added here.
    """
    splits: list[_Split] = []
    for checked in files:
        split = _split(checked, prints, findings)
        if not any(_same_images(split, other) for other in splits):
            splits.append(split)
    for first, second in combinations(splits, 2):
        _compare(first, second, prints, findings)


def _same_images(first: _Split, second: _Split) -> bool:
    folders = first.checked.split.folder, second.checked.split.folder
    return folders[0] == folders[1] and first.names.keys() == second.names.keys()


def _split(checked: CheckedFile, prints: Fingerprints, findings: FindingCollector) -> _Split:
    contents: dict[bytes, Image] = {}
    files: set[ImageFile] = set()
    for image in checked.images:
        found = _print(image, prints)
        if found is None or image.file is None or image.file in files:
            continue
        files.add(image.file)
        earlier = contents.setdefault(found.content, image)
        if earlier is not image:
            example = _example(checked, image, f"the same as {earlier.name}", checked, earlier)
            findings.add("copy", example)
    names = {image.name: image for image in checked.images}
    return _Split(checked, checked.split.path.stem, names, contents)


def _print(image: Image, prints: Fingerprints) -> Fingerprint | None:
    return None if image.file is None else prints.get(image.file)


def _example(
    checked: CheckedFile, image: Image, what: str, other: CheckedFile, other_image: Image
) -> Example:
    pictures = tuple(ExamplePicture(shown.file) for shown in (image, other_image) if shown.file is not None)
    return Example(checked.split.path, what, image=image.id, name=image.name, pictures=pictures)


def _compare(first: _Split, second: _Split, prints: Fingerprints, findings: FindingCollector) -> None:
    shared: set[str] = set()
    for image in second.names.values():
        twin, kind = _twin(image, first, prints)
        if twin is not None:
            shared.add(image.name)
            what = f"also {twin.name} of {first.label}"
            findings.add(kind, _example(second.checked, image, what, first.checked, twin))
    rest = [image for image in second.names.values() if image.name not in shared]
    for image, twin in _lookalikes(list(first.names.values()), rest, prints):
        shared.add(image.name)
        what = f"looks like {twin.name} of {first.label}"
        findings.add("leak_alike", _example(second.checked, image, what, first.checked, twin))
    ids = {image.id: image for image in first.checked.images}
    for image in second.names.values():
        if image.id in ids and image.name not in shared:
            other = ids[image.id]
            what = f"also the id of {other.name} of {first.label}"
            findings.add("same_id", _example(second.checked, image, what, first.checked, other))


def _twin(image: Image, split: _Split, prints: Fingerprints) -> tuple[Image | None, str]:
    """The same image in another split, and the class of that finding."""
    found = _print(image, prints)
    if found is not None and found.content in split.contents:
        return split.contents[found.content], "leak_same"
    named = split.names.get(image.name)
    if named is None:
        return None, ""
    if named.file is not None and named.file == image.file:
        return named, "leak_same"
    if found is not None and _print(named, prints) is not None:
        return None, ""  # Other images that happen to be called the same.
    return named, "leak_name"


def _lookalikes(
    first: Sequence[Image], second: Sequence[Image], prints: Fingerprints
) -> list[tuple[Image, Image]]:
    """For images of the second list the one of the first that looks the same, where there is one.

    Hashes that differ in at most BITS bits agree in one of BITS + 1 chunks at least: only images that share
    a chunk are compared.
    """
    known, hashes, thumbs = _columns(first, prints)
    asked, asked_hashes, asked_thumbs = _columns(second, prints)
    if not known or not asked:
        return []
    chunks, asked_chunks = _chunks(hashes), _chunks(asked_hashes)
    order = np.argsort(chunks, axis=0, kind="stable")
    ordered = np.take_along_axis(chunks, order, axis=0)
    low = np.stack(
        [np.searchsorted(ordered[:, c], asked_chunks[:, c], side="left") for c in range(_CHUNKS)], axis=1
    )
    high = np.stack(
        [np.searchsorted(ordered[:, c], asked_chunks[:, c], side="right") for c in range(_CHUNKS)], axis=1
    )
    pairs = []
    for row, image in enumerate(asked):
        candidates = np.concatenate([order[low[row, c] : high[row, c], c] for c in range(_CHUNKS)])
        if not len(candidates):
            continue
        differing = (hashes[candidates] ^ asked_hashes[row]).view(np.uint8).reshape(-1, 8)
        near = candidates[np.unpackbits(differing, axis=1).sum(1) <= BITS]
        if not len(near):
            continue
        likeness = thumbs[near].astype(np.float64) @ asked_thumbs[row] / thumbs.shape[1]
        best = int(likeness.argmax())
        if likeness[best] >= CORRELATION:
            pairs.append((image, known[near[best]]))
    return pairs


def _columns(
    images: Sequence[Image], prints: Fingerprints
) -> tuple[list[Image], NDArray[np.uint64], NDArray[np.float32]]:
    """Images with enough contrast: hashes [N] and small pictures [N, P] of mean 0 and deviation 1."""
    kept, hashes, thumbs = [], [], []
    for image in images:
        found = _print(image, prints)
        if found is not None and found.thumb.std() >= CONTRAST:
            kept.append(image)
            hashes.append(found.dhash)
            thumbs.append(((found.thumb - found.thumb.mean()) / found.thumb.std()).astype(np.float32))
    return kept, np.array(hashes, np.uint64), np.array(thumbs, np.float32)


def _chunks(hashes: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The hashes [N] as chunks [N, BITS + 1] of 16 bits."""
    return hashes.view(np.uint16).reshape(-1, _CHUNKS)
