"""The latency predictor: ms of any network of the measured kind, from its traced operators."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from nas.errors import UserError
from nas.latency.device import DeviceDescription, describe_device
from nas.latency.endtoend import EndToEnd
from nas.latency.features import CONSTANT, OperatorFeatures, network_features
from nas.latency.fitting import Floats, design, fit_weights
from nas.latency.networks import ArchTracer
from nas.latency.protocol import Protocol
from nas.latency.table import LatencyTable
from nas.latency.timing import Timing
from nas.latency.validation import Validation, validate
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.space.space import SearchSpace

if TYPE_CHECKING:
    from nas.graph import Operator, Tracer

FORMAT_VERSION = 1
MINIMUM_NETWORKS = 6


@dataclass(frozen=True, eq=False)
class LatencyPredictor:
    """Predicts the protocol's label (`measured_ms`) on one device.

    Args:
        device, protocol: of the table that it was fitted on.
        channel_block: of that device.
        skeleton: the heads that it knows are sized by it.
        spaces: as JSON, what the measured networks were drawn from.
        weights: ms per unit of every feature.
        outside_ms: by head type, the time outside the graph (grouping).
        validation: its error on held-out networks.
    """

    device: DeviceDescription
    protocol: Protocol
    channel_block: int
    skeleton: Skeleton
    spaces: tuple[Mapping[str, Any], ...]
    weights: Mapping[str, float]
    outside_ms: Mapping[str, float]
    validation: Validation

    @classmethod
    def fit(
        cls,
        table: LatencyTable,
        *,
        skeleton: str | None = None,
        tracer: ArchTracer | None = None,
        seed: int = 0,
    ) -> Self:
        """Fit on the networks of a table.

        Args:
            table: of `measure_space`.
            skeleton: name of the skeleton whose networks are meant; needed where the table holds several.
            tracer: arch -> graph; None makes one from the space that the table names.
            seed: of the folds.

        Raises:
            UserError: fewer than six networks, or an ambiguous or unknown skeleton.
        """
        chosen = _skeleton(table, skeleton)
        spaces = tuple(source.space for source in table.sources if source.skeleton == chosen.to_json())
        timings = [timing for timing in table.timings() if timing.description["skeleton"] == chosen.name]
        if len(timings) < MINIMUM_NETWORKS:
            raise UserError(
                f"{table.path} holds {len(timings)} networks; a predictor needs {MINIMUM_NETWORKS} or more: "
                "measure with a larger --samples"
            )
        archs = [Arch.from_json(timing.description["arch"]) for timing in timings]
        trace = tracer or _TracerOfSpaces(spaces, chosen)
        extract = OperatorFeatures(table.channel_block)
        names, matrix = design([network_features(trace(arch), extract) for arch in archs])
        measured = np.array([timing.measured_ms for timing in timings])
        return cls(
            device=table.device,
            protocol=table.protocol,
            channel_block=table.channel_block,
            skeleton=chosen,
            spaces=spaces,
            weights=dict(zip(names, fit_weights(matrix, measured).tolist(), strict=True)),
            outside_ms=_outside_by_head(archs, timings),
            validation=validate(matrix, timings, seed=seed),
        )

    def save(self, path: Path) -> None:
        """Write one JSON file that loads without the table."""
        content = {
            "version": FORMAT_VERSION,
            "device": self.device.to_json(),
            "protocol": self.protocol.to_json(),
            "channel_block": self.channel_block,
            "skeleton": self.skeleton.to_json(),
            "spaces": [dict(space) for space in self.spaces],
            "weights": dict(self.weights),
            "outside_ms": dict(self.outside_ms),
            "validation": self.validation.to_json(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, path: Path, *, device: DeviceDescription | None = None, allow_other_device: bool = False
    ) -> Self:
        """Read a saved predictor.

        Args:
            device: what it must be of; None stands for this machine.
            allow_other_device: use it whatever it is of.

        Raises:
            UserError: unreadable, of another version, or of another device.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read the latency predictor {path}: {error}") from None
        if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
            raise UserError(f"{path} is not a latency predictor of version {FORMAT_VERSION}; fit it again")
        try:
            predictor = cls._from_json(content, path)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is not a complete latency predictor ({error!r}); fit it again") from None
        wanted = device or describe_device(threads=predictor.device.threads)
        if not allow_other_device and wanted.fingerprint != predictor.device.fingerprint:
            raise UserError(
                f"{path} predicts for {predictor.device}; this is {wanted}; measure and fit here, or "
                "allow the other device (--allow-other-device)"
            )
        return predictor

    @classmethod
    def _from_json(cls, content: Mapping[str, Any], path: Path) -> Self:
        return cls(
            device=DeviceDescription.from_json(content["device"]),
            protocol=Protocol.from_json(content["protocol"]),
            channel_block=content["channel_block"],
            skeleton=Skeleton.from_json(content["skeleton"], source=str(path)),
            spaces=tuple(content["spaces"]),
            weights=content["weights"],
            outside_ms=content["outside_ms"],
            validation=Validation.from_json(content["validation"]),
        )

    @overload
    def predict_ms(self, archs: Arch, *, tracer: ArchTracer | None = None) -> float: ...

    @overload
    def predict_ms(self, archs: Sequence[Arch], *, tracer: ArchTracer | None = None) -> Floats: ...

    def predict_ms(self, archs: Arch | Sequence[Arch], *, tracer: ArchTracer | None = None) -> float | Floats:
        """Predicted `measured_ms` of one arch, or [N] of several.

        Args:
            tracer: arch -> graph with this predictor's skeleton; None traces in the spaces it was fitted on.

        Raises:
            UserError: a network has operators that no measured network had.
        """
        trace = tracer or self._trace
        if isinstance(archs, Arch):
            return self._predict(archs, trace)
        return np.array([self._predict(arch, trace) for arch in archs], np.float64)

    def interval_ms(
        self, archs: Sequence[Arch], *, coverage: float = 0.9, tracer: ArchTracer | None = None
    ) -> Floats:
        """Bounds [N, 2] of the measured time at about this probability, from held-out errors."""
        low, high = (self.validation.residual((1 + side * coverage) / 2) for side in (-1, 1))
        predicted = self.predict_ms(archs, tracer=tracer)
        return np.stack([predicted / (1 + high), predicted / (1 + low)], axis=1)

    def total_ms(
        self,
        archs: Sequence[Arch],
        *,
        people: int = 1,
        detector_ms: float = 0.0,
        tracer: ArchTracer | None = None,
    ) -> Floats:
        """What a user pays [N], see `nas.latency.endtoend`: network, grouping, people, person detector."""
        pays = EndToEnd(people=people, detector_ms=detector_ms)
        networks = self.predict_ms(archs, tracer=tracer).tolist()
        totals = (
            pays.total_ms(arch, network_ms=ms, grouping_ms=self._outside(arch))
            for arch, ms in zip(archs, networks, strict=True)
        )
        return np.fromiter(totals, np.float64, len(archs))

    def operator_ms(self, operator: "Operator") -> float:
        """The part of one operator in a prediction. Raises UserError where none like it was measured."""
        total = 0.0
        for name, amount in self._extract(operator).amounts.items():
            try:
                total += self.weights[name] * amount
            except KeyError:
                raise UserError(
                    f"the latency predictor has seen no network with {name!r} (in {operator.scope!r}); "
                    "measure networks that have it and fit again"
                ) from None
        return total

    def _predict(self, arch: Arch, trace: ArchTracer) -> float:
        return self.weights[CONSTANT] + trace(arch).total(self._operator_ms, 0.0)

    def _outside(self, arch: Arch) -> float:
        try:
            return self.outside_ms[arch.head.type]
        except KeyError:
            raise UserError(
                f"the latency predictor has seen no network with head {arch.head.type!r}; "
                "measure some and fit again"
            ) from None

    @cached_property
    def _operator_ms(self) -> Any:
        # One object for all calls: by it the graphs find what they have summed before.
        return self.operator_ms

    @cached_property
    def _extract(self) -> OperatorFeatures:
        return OperatorFeatures(self.channel_block)

    @cached_property
    def _trace(self) -> ArchTracer:
        return _TracerOfSpaces(self.spaces, self.skeleton)


class _TracerOfSpaces:
    """Traces with the first space that holds the arch, and with one of its own where none does."""

    def __init__(self, spaces: Sequence[Mapping[str, Any]], skeleton: Skeleton) -> None:
        self._spaces = [SearchSpace.from_json(space) for space in spaces]
        self._tracer = lru_cache(maxsize=8)(lambda space: _new_tracer(space, skeleton))

    def __call__(self, arch: Arch) -> Any:
        space = next((space for space in self._spaces if space.contains(arch)), None)
        return self._tracer(space or arch)(arch)


def _new_tracer(space: SearchSpace | Arch, skeleton: Skeleton) -> "Tracer":
    from nas.graph import Tracer

    return Tracer(space, skeleton)


def _skeleton(table: LatencyTable, name: str | None) -> Skeleton:
    known: dict[str, Skeleton] = {}
    for source in table.sources:
        skeleton = Skeleton.from_json(source.skeleton, source=str(table.path))
        known[skeleton.name] = skeleton
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise UserError(f"{table.path} has networks of the skeletons {names}; choose one with --skeleton")
    return known[name]


def _outside_by_head(archs: Sequence[Arch], timings: Sequence[Timing]) -> dict[str, float]:
    by_head: dict[str, list[float]] = {}
    for arch, timing in zip(archs, timings, strict=True):
        by_head.setdefault(arch.head.type, []).append(timing.outside_ms)
    return {head: float(np.median(values)) for head, values in by_head.items()}
