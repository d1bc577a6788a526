"""The part of the training images that search scores networks on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nas.data.annotations import Annotations
from nas.data.identity import SourceContent
from nas.errors import UserError

FRACTION = 0.05
LIMIT = 1000


@dataclass(frozen=True)
class SearchSplit:
    """Which images search scores on; every other image is for training.

    Args:
        sources: the annotation files.
        ids: for each source the image ids kept out of training, ascending.
        contents: what each source held when it was split; earlier versions did not write it.
    """

    sources: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    contents: tuple[SourceContent | None, ...] = ()

    def search(self, sources: Sequence[Annotations]) -> tuple[Annotations, ...]:
        """The search part of each source that has one."""
        pairs = self._pairs(sources)
        return tuple(source.select(kept) for source, kept in pairs if kept)

    def train(self, sources: Sequence[Annotations]) -> tuple[Annotations, ...]:
        """The training part of each source."""
        return tuple(
            source.select({image.id for image in source.images}.difference(kept))
            for source, kept in self._pairs(sources)
        )

    def change(self, sources: Sequence[Annotations]) -> str | None:
        """In what the sources are others than those that were split; None where they are the same.

        Raises:
            UserError: there are more or fewer of them.
        """
        self._pairs(sources)
        for content, source in zip(self.contents, sources, strict=False):
            if content is not None and (change := content.change(source)):
                return f"{source.path}: {change}"
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal split back."""
        sources: list[dict[str, Any]] = [
            {"annotations": name, "image_ids": list(ids)}
            for name, ids in zip(self.sources, self.ids, strict=True)
        ]
        for source, content in zip(sources, self.contents, strict=False):
            if content is not None:
                source["content"] = content.to_json()
        return {"sources": sources}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The split that `to_json` wrote. Raises UserError for other content."""
        try:
            parts = [
                (str(part["annotations"]), tuple(map(int, part["image_ids"]))) for part in data["sources"]
            ]
            contents = tuple(_content(part) for part in data["sources"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(
                "this is no search split: expected 'sources' with 'annotations' and 'image_ids'"
            ) from None
        return cls(tuple(name for name, _ in parts), tuple(ids for _, ids in parts), contents)

    def _pairs(self, sources: Sequence[Annotations]) -> list[tuple[Annotations, tuple[int, ...]]]:
        if len(sources) != len(self.ids):
            raise UserError(f"the search split is of {len(self.ids)} sources, the data have {len(sources)}")
        return list(zip(sources, self.ids, strict=True))


def draw_search_split(
    sources: Sequence[Annotations], *, fraction: float = FRACTION, limit: int = LIMIT
) -> SearchSplit:
    """Set a fraction of the images with labelled people apart, at most `limit` over all sources.

    An image's hash of its id decides, so the choice is the same in every run and stays when images are added.

    Raises:
        UserError: there are fewer than two images with labelled people.
    """
    hashed = sorted(
        (unit_hash(source.images[image].id), index, source.images[image].id)
        for index, source in enumerate(sources)
        for image in source.labelled_images
    )
    if len(hashed) < 2:
        raise UserError(
            f"{sources[0].path}: one image with labelled people cannot be split into training and search"
        )
    below = sum(value < fraction for value, _, _ in hashed)
    chosen = hashed[: min(max(below, 1), limit, len(hashed) - 1)]
    ids = tuple(
        tuple(sorted(id_ for _, owner, id_ in chosen if owner == index)) for index in range(len(sources))
    )
    return SearchSplit(
        sources=tuple(str(source.path) for source in sources),
        ids=ids,
        contents=tuple(SourceContent.of(source, kept) for source, kept in zip(sources, ids, strict=True)),
    )


def _content(part: Mapping[str, Any]) -> SourceContent | None:
    return SourceContent.from_json(part["content"]) if "content" in part else None


def unit_hash(id_: int, *, salt: str = "") -> float:
    """A number in 0..1 that only the id decides; another one for every salt."""
    digest = hashlib.sha256(f"{salt}{id_}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
