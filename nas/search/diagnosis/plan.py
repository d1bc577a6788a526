"""What a run's diagnosis consists of: written down before anything is trained, and added to later."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from nas.documents import read_json
from nas.errors import UserError
from nas.files import write_json
from nas.runs.config import FinetuneConfig, InitConfig, overridden
from nas.runs.inputs import differences
from nas.search.diagnosis.picking import PickedNetwork, PickRule
from nas.search.diagnosis.settings import DiagnosisSettings
from nas.space import SearchSpace

_NETWORKS = 12
_SEEDS = 2


@dataclass(frozen=True)
class DiagnosisPlan:
    """Which networks are trained alone, how, and how often.

    Args:
        rule: by what they are picked.
        recipe: of every training.
        seeds: trainings of each network, with the seeds 0, 1, ...
        predictor: digest of what the networks were picked by.
        networks: in the order in which they are trained.
    """

    rule: PickRule
    recipe: FinetuneConfig
    seeds: int
    predictor: str
    networks: tuple[PickedNetwork, ...]

    def save(self, path: Path) -> None:
        """Write it. Raises UserError as `write_json` does."""
        content = {
            "rule": asdict(self.rule),
            "recipe": self.recipe.model_dump(mode="json"),
            "seeds": self.seeds,
            "predictor": self.predictor,
            "networks": [network.to_json() for network in self.networks],
        }
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What was planned before; None where nothing was. Raises UserError where the file is damaged."""
        if not path.is_file():
            return None
        content = read_json(path)
        try:
            rule = content["rule"]
            # A recipe of an earlier version lacks the fields that came later.
            recipe = overridden(FinetuneConfig, content["recipe"], ())
            return cls(
                rule=PickRule(**{**rule, "heads": tuple(rule["heads"])}),
                recipe=FinetuneConfig.read(recipe, str(path)),
                seeds=int(content["seeds"]),
                predictor=str(content["predictor"]),
                networks=tuple(map(PickedNetwork.from_json, content["networks"])),
            )
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path}: not the plan of a diagnosis; delete {path.parent} to start anew"
            ) from None


def pick_rule(settings: DiagnosisSettings, former: PickRule | None, where: Path) -> PickRule:
    """By what networks are picked. Raises UserError where that was something else before."""
    asked = {field.name: getattr(settings, field.name) for field in fields(PickRule)}
    asked["heads"] = tuple(settings.heads) or None
    given = {name: value for name, value in asked.items() if value is not None}
    if former is None:
        return PickRule(**given)
    _require_same(asdict(former), {**asdict(former), **given}, where)
    return former


def lone_recipe(
    finetune: FinetuneConfig,
    settings: DiagnosisSettings,
    former: FinetuneConfig | None,
    *,
    samples: int,
    where: Path,
) -> FinetuneConfig:
    """How a network is trained alone: as it is fine-tuned, but from random weights and without a teacher.

    Args:
        finetune: the run's section.
        settings: with the length, if it is given.
        former: how that was done before in the run.
        samples: of the training set, for a length in epochs.
        where: that is kept, for the message.

    Raises:
        UserError: it was done in another way before.
    """
    images = settings.images
    if images is None and former is not None:
        images = former.images
    if images is None:
        images = finetune.total_steps(samples) * finetune.batch
    zeroed = finetune.init is not None and finetune.init.zero_residual
    recipe = finetune.model_copy(
        update={
            "steps": None,
            "epochs": None,
            "images": images,
            "distillation": 0.0,
            "teacher": None,
            "search_split": False,
            "init": InitConfig(zero_residual=True) if zeroed else None,
        }
    )
    if former is not None:
        _require_same(former.model_dump(mode="json"), recipe.model_dump(mode="json"), where)
    return recipe


def counts(settings: DiagnosisSettings, former: DiagnosisPlan | None) -> tuple[int, int]:
    """How many networks are to be trained now, and with how many seeds."""
    networks = settings.networks or (len(former.networks) if former else _NETWORKS)
    return networks, settings.seeds or (former.seeds if former else _SEEDS)


def require_members(networks: Sequence[PickedNetwork], space: SearchSpace, where: Path) -> None:
    """Raise UserError where a network that was picked is not in the run's space."""
    for network in networks:
        if reason := space.why_not(network.arch):
            raise UserError(
                f"{where}: network {network.arch.id} is not in the run's space {space.name!r}: {reason}; "
                f"delete {where.parent} to start anew"
            )


def _require_same(former: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    found = [f"`{name}` ({old} there, {new} now)" for name, old, new in differences(former, now)]
    if found:
        raise UserError(
            f"{where.parent} holds a diagnosis of another kind: {', '.join(found)}; go on with the former "
            "values, or move that folder away to start anew"
        )
