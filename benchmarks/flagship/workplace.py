"""Where the comparison of a run lies: beside the run's own files, in `flagship`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.flagship.rows import HAND_MADE, KINDS, Comparison, Row
from nas.digests import file_digest
from nas.documents import read_json
from nas.errors import UserError
from nas.files import is_file, write_json
from nas.runs import RunFolder
from nas.runs.subnet_training import RECORD
from nas.space import Arch


@dataclass(frozen=True)
class Workplace:
    """The files of a comparison.

    Args:
        run: the folder of the trained supernet.
        overrides: with which it was opened; hand-made networks are trained with them too.
    """

    run: RunFolder
    overrides: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.run.path / "flagship"

    def begin(self, asked: Comparison | None = None) -> Comparison:
        """What is compared, written down by the first call; by default as before, or as `Comparison` says.

        Raises UserError where something else is asked for than before.
        """
        known = self._known()
        if known is None:
            known = asked or Comparison()
            write_json(self._comparison_file, vars(known))
        if asked not in (None, known):
            raise UserError(
                f"{self._comparison_file}: other rows are compared here: all at {known.whole} ms, two "
                f"at {known.pair} ms, {known.earlier_images} earlier images; leave them out, or move that "
                "folder away to start anew"
            )
        return known

    @property
    def comparison(self) -> Comparison:
        """What is compared. Raises UserError where nothing has been picked yet."""
        known = self._known()
        if known is None:
            raise UserError(f"{self.folder}: no comparison has begun; pick its architectures first")
        return known

    @property
    def _comparison_file(self) -> Path:
        return self.folder / "comparison.json"

    def _known(self) -> Comparison | None:
        if not is_file(self._comparison_file):
            return None
        known = read_json(self._comparison_file)
        return Comparison(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
        )

    @property
    def timings_file(self) -> Path:
        """Milliseconds of all networks, timed side by side."""
        return self.folder / "timings.json"

    def study_file(self, pick: str, budget_ms: float) -> Path:
        """The database of what was scored to pick an architecture."""
        return self.folder / "studies" / f"{pick}-{budget_ms:g}ms.db"

    def pick_file(self, pick: str, budget_ms: float) -> Path:
        """The arch JSON of a pick."""
        return self.folder / "picks" / f"{pick}-{budget_ms:g}ms.json"

    def found_file(self, pick: str, budget_ms: float) -> Path:
        """How it was found."""
        return self.pick_file(pick, budget_ms).with_suffix(".found.json")

    def keep(self, pick: str, budget_ms: float, arch: Arch, found: Mapping[str, Any]) -> None:
        """Write down what was picked, and how it was found."""
        arch.save(self.pick_file(pick, budget_ms), info=found)
        write_json(self.found_file(pick, budget_ms), found)

    def picked(self, pick: str, budget_ms: float) -> Arch | None:
        """The architecture of a pick; None where it is not picked yet."""
        if not is_file(self.found_file(pick, budget_ms)):
            return None
        return Arch.load(self.pick_file(pick, budget_ms))

    def found(self, pick: str, budget_ms: float) -> Mapping[str, Any]:
        """How a pick was found; nothing where it is not picked yet."""
        file = self.found_file(pick, budget_ms)
        return read_json(file) if is_file(file) else {}

    def home(self, row: Row) -> RunFolder:
        """The run that a row is trained in: the supernet's, for what is hand-made one of its own."""
        return RunFolder(self.folder / HAND_MADE) if row.kind == HAND_MADE else self.run

    def weights_file(self, row: Row) -> Path:
        return self.home(row).subnets_folder / f"{row.name}.safetensors"

    def training(self, row: Row) -> Mapping[str, Any] | None:
        """The run's own record of a training (architecture, recipe); None where it has not begun."""
        file = self.home(row).work_folder(row.name) / RECORD
        return read_json(file) if is_file(file) else None

    def require_picked(self, row: Row) -> None:
        """Raises UserError where another network was begun under a row's name than is picked by now."""
        record, arch = self.training(row), self.picked(KINDS[row.kind].pick, row.budget_ms)
        if record is not None and arch is not None and record.get("arch") != arch.to_json():
            raise UserError(
                f"{self.home(row).work_folder(row.name)}: holds another network than is picked by now; put "
                "the former pick back, or delete that folder and its weights to train anew"
            )

    def poses_file(self, row: Row) -> Path | None:
        """What these very weights find in the validation set; None while there are no weights.

        Raises UserError where they are of another network than is picked by now.
        """
        self.require_picked(row)
        weights = self.weights_file(row)
        if not is_file(weights):
            return None
        return self.folder / "poses" / f"{row.name}-{file_digest(weights)[:12]}.json"
