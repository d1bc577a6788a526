"""The content of what a run was started with, kept in its folder: originals may change, move or vanish."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.documents import read_json
from nas.errors import UserError
from nas.files import write_json, write_text
from nas.runs.config import SupernetConfig
from nas.runs.named_files import moved_back, named_digests
from nas.shipped import looks_like_path
from nas.space import SearchSpace, Skeleton

Difference = tuple[str, Any, Any]
"""A field, its former value, its value now."""


class Inputs:
    """The folder `inputs` of a run: space, skeleton, and digests of the other files that its recipe names.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {"space": folder / "space.yaml", "skeleton": folder / "skeleton.yaml"}
        self._digests_file = folder / "digests.json"

    @property
    def kept(self) -> dict[str, str]:
        """What takes the originals' place, by field; nothing in a run of an earlier version."""
        whole = all(file.is_file() for file in self._files.values())
        return {field: str(file) for field, file in self._files.items()} if whole else {}

    def keep(self, config: SupernetConfig) -> None:
        """Keep what a configuration names. Raises UserError where it cannot be read, or kept."""
        space, skeleton = SearchSpace.load(config.space), Skeleton.load(config.skeleton)
        _keep_space(space, self._files["space"])
        write_text(self._files["skeleton"], yaml.safe_dump(skeleton.to_json(), sort_keys=False))
        write_json(self._digests_file, named_digests(SupernetConfig, config.model_dump(mode="json")))

    def differences(self, former: SupernetConfig, now: SupernetConfig) -> Iterator[Difference]:
        """In what a configuration is another than that of the run; originals may have moved or vanished.

        Args:
            former: with space and skeleton as they were named.
            now: likewise.

        Raises:
            UserError: a file that is named now cannot be read.
        """
        then, values = former.model_dump(mode="json"), now.model_dump(mode="json")
        values = moved_back(SupernetConfig, values, then, self._digests())
        for field in self._files:
            yield from self._original(field, then.pop(field), values.pop(field))
        yield from differences(then, values)

    def _original(self, field: str, former: str, now: str) -> Iterator[Difference]:
        """In what an original of one's own is another now."""
        kept = self.kept.get(field)
        if kept is None:
            if former != now and _content(field, former) != _content(field, now):
                yield field, former, now
            return
        if former == now and not (looks_like_path(now) and Path(now).exists()):
            return  # it vanished, or ships in whatever form this version has
        yield from differences(_content(field, kept), _content(field, now), f"{field}.")

    def _digests(self) -> Mapping[str, str]:
        if not self._digests_file.is_file():
            return {}
        digests = read_json(self._digests_file)
        if not isinstance(digests, Mapping):
            raise UserError(
                f"{self._digests_file}: expected digests of files by field; delete it to do without"
            )
        return digests


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """The fields in which plain data differ; those of nested mappings, and of lists of them, one by one."""
    for name in dict.fromkeys((*old, *new)):
        before, after = (_fields(values.get(name)) for values in (old, new))
        if isinstance(before, Mapping) and isinstance(after, Mapping) and _alike(old[name], new[name]):
            yield from differences(before, after, f"{prefix}{name}.")
        elif old.get(name) != new.get(name):
            yield f"{prefix}{name}", old.get(name), new.get(name)


def _fields(value: Any) -> Any:
    """A list of mappings as a mapping by position; anything else as it is."""
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return {str(position): item for position, item in enumerate(value)}
    return value


def _alike(old: Any, new: Any) -> bool:
    return not isinstance(old, list) or len(old) == len(new)


def _keep_space(space: SearchSpace, file: Path) -> None:
    """Write a space, and its published architectures beside it, which it then names."""
    published: list[str] = []
    for name, arch in space.published().items():
        beside = f"published/{Path(name).name.removesuffix('.json')}.json"
        if beside in published:
            beside = f"published/{arch.id}.json"
        write_json(file.parent / beside, arch.to_json())
        published.append(beside)
    spec = space.spec.model_copy(update={"published": tuple(published)})
    write_text(file, yaml.safe_dump(spec.to_json(), sort_keys=False))


def _content(field: str, source: str) -> dict[str, Any]:
    """What a space or a skeleton says, whatever it is called."""
    if field == "skeleton":
        return Skeleton.load(source).to_json()
    space = SearchSpace.load(source)
    return {**space.spec.to_json(), "published": sorted(arch.id for arch in space.published().values())}
