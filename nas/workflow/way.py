"""What the steps share: the run, its recipe, how they tell what they do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rich.console import Console

from nas.data import Annotations, SourceConfig
from nas.data.threads import Progress, cores
from nas.graph import Tracer
from nas.latency import LatencyPredictor
from nas.runs.config import SupernetConfig
from nas.runs.folder import RunFolder
from nas.search.preparation import load_predictor
from nas.search.settings import Displays
from nas.space import SearchSpace, Skeleton
from nas.train.clock import Deadline
from nas.workflow.steps import StepRecords, digest_of


@dataclass(frozen=True)
class WorkflowDisplays:
    """How the steps tell their progress.

    Args:
        counting: given a title, told how many pieces are done, and of how many.
        search: of the search, and of all measuring.
    """

    counting: Callable[[str], Progress] = lambda _: lambda _done, _total: None
    search: Displays = field(default_factory=Displays)


@dataclass(frozen=True, eq=False)
class Way:
    """One way from data to networks.

    Args:
        run: where it leads.
        config: the recipe, as `own_predictor` makes it.
        asked_ms: budgets; none for those of the recipe, or two that mean something on any machine.
        console: where steps are announced.
        displays: how they tell their progress.
        deadline: when to pause.
    """

    run: RunFolder
    config: SupernetConfig
    asked_ms: tuple[float, ...]
    console: Console
    displays: WorkflowDisplays
    deadline: Deadline

    @cached_property
    def records(self) -> StepRecords:
        """Of this run's steps."""
        return StepRecords(self.run.workflow_folder, root=self.run.path)

    @cached_property
    def space(self) -> SearchSpace:
        """What may vary. Raises UserError as `load_space` does."""
        return self.config.load_space()

    @cached_property
    def skeleton(self) -> Skeleton:
        """The joints. Raises UserError as `Skeleton.load` does."""
        return Skeleton.load(self.config.skeleton)

    @cached_property
    def tracer(self) -> Tracer:
        """For asking the predictor about many networks."""
        return Tracer(self.space, self.skeleton, anonymous=True)

    @property
    def threads(self) -> int:
        """Of finished networks that are validated."""
        return self.config.processes * self.config.threads if self.config.threads else cores()

    def predictor(self) -> LatencyPredictor:
        """The run's. Raises UserError where it is not of this machine, or of other joints."""
        return load_predictor(self.run.predictor_file, self.skeleton)

    def tell(self, *lines: str) -> None:
        """Print what a step says."""
        self.console.print(*lines, markup=False)

    def training_data(self) -> list[str | None]:
        """Digests of the annotation files that are trained on."""
        return self.digests(self.config.data.train)

    def digests(self, sources: Sequence[SourceConfig]) -> list[str | None]:
        """Of the annotation files of some sets."""
        return [digest_of(self.config.data.folder / source.annotations) for source in sources]

    @property
    def validated(self) -> tuple[SourceConfig, ...]:
        """The sets that finished networks are validated on; none where training images are held out."""
        return self.config.workflow.test or self.config.data.val

    def load_validated(self) -> tuple[Annotations, ...]:
        """These sets, or what is held out. Raises UserError as `load_val` does."""
        return self.config.load_validated(self.skeleton)


def own_predictor(config: SupernetConfig, run: RunFolder) -> SupernetConfig:
    """A recipe whose training draws networks evenly over the milliseconds that this run's predictor tells.

    One that says otherwise stays, and so does one whose run has begun without.
    """
    sampling = config.sampling
    if sampling.fair != "latency" or sampling.predictor is not None:
        return config
    if run.config_file.is_file() and run.config().sampling.predictor is None:
        return config
    own = sampling.model_copy(update={"predictor": str(run.predictor_file.absolute())})
    return config.model_copy(update={"sampling": own})
