"""What an annotated set is: ids, file names and labels. Neither pixels nor the folder that it lies in."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from posixpath import normpath
from typing import Any, Self

import numpy as np

from nas.data.annotations import Annotations


def images_digest(source: Annotations) -> str:
    """Changes with the id, name or size of any image, and with their order."""
    images = [[image.id, normpath(image.file), *image.size, image.crowd_index] for image in source.images]
    return hashlib.sha256(json.dumps(images).encode()).hexdigest()


def labels_digest(source: Annotations) -> str:
    """Changes with whatever is annotated of anybody, as it was loaded, and with their order."""
    people = source.people
    digest = hashlib.sha256()
    for column in (
        people.ids, people.image, people.keypoints, people.bbox, people.areas, people.crowd,
        people.num_keypoints,
    ):  # fmt: skip
        digest.update(column.tobytes())
    digest.update(json.dumps(people.segmentations, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A region as JSON has it: dataclasses by their fields, arrays as lists."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return np.asarray(value).tolist()


@dataclass(frozen=True)
class SourceContent:
    """What a set held at one time: enough to notice that it is another, and to say in what.

    Args:
        files: file names of some of its images, by id.
        images: digest of all images.
        labels: digest of all labels.
    """

    files: Mapping[int, str]
    images: str
    labels: str

    @classmethod
    def of(cls, source: Annotations, named: Collection[int]) -> Self:
        """The content of a set, the images of some ids by name."""
        wanted = set(named)
        files = {image.id: image.file for image in source.images if image.id in wanted}
        return cls(files, images_digest(source), labels_digest(source))

    def change(self, source: Annotations) -> str | None:
        """In what a set is another than this was; None where it is the same."""
        now = {image.id: image.file for image in source.images}
        for id_, file in self.files.items():
            if id_ not in now:
                return f"image {id_} was {file}, and is gone"
            if normpath(now[id_]) != normpath(file):
                return f"image {id_} was {file}, is {now[id_]} now"
        if images_digest(source) != self.images:
            return "images have other ids, file names or sizes, or there are more or fewer of them"
        if labels_digest(source) != self.labels:
            return "the images are the same, labels have changed"
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal content back."""
        files = {str(id_): file for id_, file in self.files.items()}
        return {"files": files, "images": self.images, "labels": self.labels}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` wrote. Raises KeyError, TypeError, ValueError or AttributeError otherwise."""
        files = {int(id_): str(file) for id_, file in data["files"].items()}
        return cls(files, str(data["images"]), str(data["labels"]))
