"""What a run trains, calibrates and searches on: sets that never overlap with the search split."""

from dataclasses import dataclass
from functools import cached_property

from nas.data import Annotations, KeypointDataset, SearchSplit, draw_search_split
from nas.documents import read_json
from nas.errors import UserError
from nas.files import write_json
from nas.runs.config import SupernetConfig
from nas.runs.folder import RunFolder
from nas.space import SearchSpace, Skeleton


@dataclass(frozen=True)
class RunData:
    """The annotated sets of a run.

    Args:
        config: of the run.
        space: whose task and largest resolution the data are prepared for.
        sources: the whole training sets.
        split: which of their images are kept for the search.
    """

    config: SupernetConfig
    space: SearchSpace
    sources: tuple[Annotations, ...]
    split: SearchSplit

    @cached_property
    def training(self) -> KeypointDataset:
        """Augmented training samples, the search split left out."""
        return self._dataset(self.split.train(self.sources))

    @cached_property
    def training_and_search(self) -> KeypointDataset:
        """Augmented training samples, the search split among them."""
        return self._dataset(self.sources)

    @property
    def search(self) -> tuple[Annotations, ...]:
        """The search split, to score networks on."""
        return self.split.search(self.sources)

    @cached_property
    def validation(self) -> tuple[Annotations, ...]:
        """The sets to validate on. Raises UserError where none is named."""
        return self.config.data.load_val(self.skeleton)

    @property
    def skeleton(self) -> Skeleton:
        return self.sources[0].skeleton

    def _dataset(self, sources: tuple[Annotations, ...]) -> KeypointDataset:
        dataset = self.config.data.training_set(
            sources, task=self.space.task, largest=_bounding(self.space.resolutions)
        )
        if len(dataset) == 0:
            raise UserError(f"data.train: no labelled people in {', '.join(str(s.path) for s in sources)}")
        return dataset


def open_data(config: SupernetConfig, space: SearchSpace, run: RunFolder) -> RunData:
    """Load the training sets and fix the search split: written by the first command, read by all later ones.

    Raises:
        UserError: a set cannot be loaded, or is not what it was when the run was started.
    """
    sources = config.data.load_train(Skeleton.load(config.skeleton))
    if run.search_split_file.is_file():
        split = _read_split(run)
        if change := split.change(sources):
            raise UserError(
                f"{run.path}: this run was started with other training images or labels: {change}; put the "
                "data back as they were, or start a new run"
            )
    else:
        split = draw_search_split(sources)
        write_json(run.search_split_file, split.to_json())
    return RunData(config, space, sources, split)


def _read_split(run: RunFolder) -> SearchSplit:
    return SearchSplit.from_json(read_json(run.search_split_file))


def _bounding(resolutions: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    heights, widths = zip(*resolutions, strict=True)
    return max(heights), max(widths)
