"""The folder that generated people are kept in: settings, finished pieces, the annotation file."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.data.convert.coco_file import person_category
from nas.errors import UserError
from nas.files import sweep, write_json
from nas.space.skeleton import Skeleton

_VERSION = 2  # of the pictures: raised whenever the same settings give different ones


@dataclass(frozen=True)
class Settings:
    """What determines every pixel of a set.

    Args:
        images: how many pictures.
        seed: of all that is random.
        size: h, w (px).
        people_per_image: fewest and most.
        skeleton: name.
        keypoints: its joints.
        version: of the generator.
    """

    images: int
    seed: int
    size: tuple[int, int]
    people_per_image: tuple[int, int]
    skeleton: str
    keypoints: tuple[str, ...]
    version: int = _VERSION

    def to_json(self) -> dict[str, Any]:
        """Plain data, equal after a round trip through JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class PeopleFolder:
    """`images/`, `annotations/people.json` and, while it is being made, `annotations/.parts/`."""

    root: Path
    settings: Settings

    @property
    def annotations(self) -> Path:
        """The COCO file, which exists only when all is done."""
        return self.root / "annotations" / "people.json"

    @property
    def images(self) -> Path:
        """Where the pictures lie."""
        return self.root / "images"

    def image_name(self, index: int) -> str:
        """File name of picture `index`."""
        return f"{index:06d}.jpg"

    def is_finished(self) -> bool:
        """Whether the set is complete. Raises UserError where the folder holds another one."""
        if not self.annotations.is_file():
            if self.root.is_dir() and not self._is_ours():
                raise UserError(
                    f"{self.root} holds other files: name an empty folder for the generated people"
                )
            return False
        try:
            made = json.loads(self.annotations.read_text(encoding="utf-8"))["info"]["settings"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{self.annotations} is not a file of generated people: name another folder"
            ) from None
        wanted = self.settings.to_json()
        if made != wanted:
            differs = ", ".join(f"{k} {made.get(k)} -> {v}" for k, v in wanted.items() if made.get(k) != v)
            raise UserError(
                f"{self.root} holds other generated people ({differs}): delete it or name another folder"
            )
        return all((self.images / self.image_name(i)).is_file() for i in range(self.settings.images))

    def prepare(self) -> None:
        """Make the folders and drop pieces that other settings left behind."""
        for folder in (self.images, self._parts):
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
        if _read_json(self._marker) != self.settings.to_json():
            for path in (*self._parts.glob("*.json"), *self.images.glob("[0-9]*.jpg")):
                path.unlink()
            write_json(self._marker, self.settings.to_json(), indent=None)

    def part(self, number: int) -> list[dict[str, Any]] | None:
        """The images of a finished piece with their people; None where it is not there."""
        found = _read_json(self._part_path(number))
        if not isinstance(found, list):
            return None
        whole = all((self.images / image["file_name"]).is_file() for image in found)
        return found if whole else None

    def write_part(self, number: int, images: list[dict[str, Any]]) -> None:
        """Keep a piece, after its pictures are on the disk."""
        write_json(self._part_path(number), images, indent=None)

    def finish(self, parts: Iterable[list[dict[str, Any]]], skeleton: Skeleton) -> Path:
        """Write the annotation file from all pieces and remove them."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image in (image for part in parts for image in part):
            people = image.pop("people")
            images.append(image)
            for person in people:
                fields = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1}
                annotations.append(fields | person)
        info = {"description": "generated people", "settings": self.settings.to_json()}
        write_json(
            self.annotations,
            {
                "info": info,
                "licenses": [],
                "images": images,
                "annotations": annotations,
                "categories": [person_category(skeleton)],
            },
        )
        for path in (*self._parts.glob("*.json"), self._marker):
            path.unlink(missing_ok=True)
        self._parts.rmdir()
        return self.annotations

    @property
    def _parts(self) -> Path:
        return self.root / "annotations" / ".parts"

    @property
    def _marker(self) -> Path:
        return self._parts / "settings"

    def _part_path(self, number: int) -> Path:
        return self._parts / f"{number:05d}.json"

    def _is_ours(self) -> bool:
        """Whether the folder is empty or an unfinished set of this generator."""
        return self._parts.is_dir() or not any(self.root.iterdir())


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
