"""The latency predictor: ms of any network of the measured kind, from its traced operators.

Operators become onnxruntime's kernels in a mirror of its fusions; every kernel has a roofline estimate (NNLS)
with a boosted residual; these are summed and scaled. Querying needs neither onnxruntime nor scikit-learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from nas.arrays import Floats
from nas.errors import UserError
from nas.files import write_json
from nas.graph.tracer import collector_paused
from nas.latency.baselines import BASELINES, macs_line
from nas.latency.endtoend import EndToEnd
from nas.latency.kernel_model import KernelModel
from nas.latency.kernel_times import KernelTimes
from nas.latency.kernels import Kernel
from nas.latency.mirror import KernelMirror
from nas.latency.networks import ArchTracer
from nas.latency.predictor_file import FORMAT_VERSION, read_predictor
from nas.latency.samples import FP32, Samples, TracerOfSpaces, mirror_of
from nas.latency.uncertainty import OTHER_RUNTIME, Novelty, Uncertainty
from nas.latency.validation import Fit, Validation, cross_validate, validation_of
from nas.space.arch import Arch
from nas.space.skeleton import Skeleton
from nas.timing.device import Agreement, DeviceDescription, agreement, describe_device
from nas.timing.protocol import Protocol
from nas.timing.table import LatencyTable

MINIMUM_NETWORKS = 6
MINIMUM_TO_CORRECT = 3
"""The same where another device's predictor is corrected."""


@dataclass(frozen=True, eq=False)
class LatencyPredictor:
    """Predicts the protocol's label (`measured_ms`) on one device.

    Args:
        device, protocol: of the table that it was fitted on.
        channel_block: of that device.
        precision: of the networks, "fp32" or "int8".
        skeleton: the heads that it knows are sized by it.
        spaces: as JSON, what the measured networks were drawn from.
        model: from kernels to ms.
        novelty, uncertainty: how far a prediction can be trusted.
        outside_ms: by head type, the time outside the graph (grouping).
        p95_ratio: the 95th percentile of whole runs over the label.
        validation: its error on held-out networks.
        corrects: the device of the predictor that it began with; None where it began with nothing.
        used_on: the device that it was loaded for; None stands for its own.
    """

    device: DeviceDescription
    protocol: Protocol
    channel_block: int
    precision: str
    skeleton: Skeleton
    spaces: tuple[Mapping[str, Any], ...]
    model: KernelModel
    novelty: Novelty
    uncertainty: Uncertainty
    outside_ms: Mapping[str, float]
    p95_ratio: float
    validation: Validation
    corrects: DeviceDescription | None = None
    used_on: DeviceDescription | None = None

    @classmethod
    def fit(
        cls,
        table: LatencyTable,
        *,
        skeleton: str | None = None,
        precision: str = FP32,
        tracer: ArchTracer | None = None,
        other: "LatencyPredictor | None" = None,
        boosted: bool = True,
        baselines: bool = False,
        seed: int = 0,
    ) -> Self:
        """Fit on the networks of a table.

        Args:
            table: of `measure_space`.
            skeleton: name of the skeleton whose networks are meant; needed where the table holds several.
            precision: which of the table's networks, "fp32" or "int8".
            tracer: arch -> graph; None makes one from the space that the table names.
            other: of another device, thread count, precision or runtime: corrected by the networks, of which
                few are needed then; None to begin with nothing.
            boosted: fit the residual of the roofline too; needs scikit-learn.
            baselines: validate all baselines beside it, not only MACs; takes longer.
            seed: of the folds and the trees.

        Raises:
            UserError: fewer than six networks, or three where another predictor is corrected; an ambiguous or
                unknown skeleton.
        """
        samples = Samples.of(table, skeleton=skeleton, precision=precision, tracer=tracer)
        networks = samples.networks
        least = MINIMUM_TO_CORRECT if other else MINIMUM_NETWORKS
        if len(networks) < least:
            raise UserError(
                f"{table.path} holds {len(networks)} networks in {precision}; a predictor needs "
                f"{least} or more: measure more of them"
            )
        begin = Fit(other.model, other.novelty) if other else None
        fitted = Fit.of(networks, other=begin, boosted=boosted, seed=seed)
        found = cross_validate(networks, other=begin, boosted=boosted, seed=seed)
        return cls(
            device=table.device,
            protocol=table.protocol,
            channel_block=table.channel_block,
            precision=precision,
            skeleton=samples.skeleton,
            spaces=samples.spaces,
            model=fitted.model,
            novelty=fitted.novelty,
            uncertainty=found.uncertainty(
                np.array([network.label_ms for network in networks]), samples.timings
            ),
            outside_ms=samples.outside_by_head(other.outside_ms if other else None),
            p95_ratio=samples.p95_ratio(),
            validation=validation_of(
                networks,
                samples.timings,
                found,
                baselines=BASELINES if baselines else {"MACs, linear": macs_line},
                seed=seed,
            ),
            corrects=other.device if other else None,
        )

    @property
    def other(self) -> "LatencyPredictor | None":
        """What it began with, as far as a fit asks for it; None where it began with nothing."""
        if self.corrects is None or self.model.other is None:
            return None
        return replace(self, model=self.model.other, device=self.corrects, corrects=None)

    def save(self, path: Path) -> None:
        """Write one JSON file that loads without the table."""
        content = {
            "version": FORMAT_VERSION,
            "device": self.device.to_json(),
            "protocol": self.protocol.to_json(),
            "channel_block": self.channel_block,
            "precision": self.precision,
            "skeleton": self.skeleton.to_json(),
            "spaces": [dict(space) for space in self.spaces],
            "model": self.model.to_json(),
            "novelty": self.novelty.to_json(),
            "uncertainty": vars(self.uncertainty),
            "outside_ms": dict(self.outside_ms),
            "p95_ratio": self.p95_ratio,
            "validation": self.validation.to_json(),
            **({"corrects": self.corrects.to_json()} if self.corrects else {}),
        }
        write_json(path, content, indent=None)

    @classmethod
    def load(
        cls, path: Path | str, *, device: DeviceDescription | None = None, allow_other_device: bool = False
    ) -> Self:
        """Read a saved predictor.

        One of the same machine with another onnxruntime is used, with wider intervals; see `remark`.

        Args:
            device: what it is to be used on; None stands for this machine.
            allow_other_device: use it whatever it is of; what it says is then of its own device.

        Raises:
            UserError: unreadable, of another version, or of another device.
        """
        predictor = cls(**read_predictor(Path(path)))
        wanted = device or describe_device(threads=predictor.device.threads)
        agreed = agreement(predictor.device, wanted)
        if agreed is Agreement.NONE and not allow_other_device:
            raise UserError(
                f"{path} predicts for {predictor.device}; this is {wanted}. Measure and fit here, or "
                "allow the other device (`allow_other_device`)"
            )
        return predictor if agreed is Agreement.NONE else replace(predictor, used_on=wanted)

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine, with whatever onnxruntime."""
        here = describe_device(threads=self.device.threads)
        return agreement(self.device, here) is not Agreement.NONE

    @property
    def remark(self) -> str | None:
        """What to tell of predictions by the times of another onnxruntime; None where there is nothing."""
        if self.used_on is None or self.used_on.runtime == self.device.runtime:
            return None
        return (
            f"The latency predictor was fitted under {self.device.runtime}, this is {self.used_on.runtime}: "
            f"its 90 % intervals are wider by {OTHER_RUNTIME:.0%}; measure and fit again for closer ones."
        )

    @overload
    def predict_ms(self, archs: Arch, *, tracer: ArchTracer | None = None) -> float: ...

    @overload
    def predict_ms(self, archs: Sequence[Arch], *, tracer: ArchTracer | None = None) -> Floats: ...

    def predict_ms(self, archs: Arch | Sequence[Arch], *, tracer: ArchTracer | None = None) -> float | Floats:
        """Predicted `measured_ms` of one arch, or [N] of several.

        Args:
            tracer: arch -> graph with this predictor's skeleton; None traces in the spaces it was fitted on.
        """
        with collector_paused():
            if isinstance(archs, Arch):
                return float(self._times.network_ms(self._kernels([archs], tracer))[0])
            return self._times.network_ms(self._kernels(archs, tracer))

    def interval_ms(
        self, archs: Sequence[Arch], *, coverage: float = 0.9, tracer: ArchTracer | None = None
    ) -> Floats:
        """Bounds [N, 2] that hold the undisturbed time with at least this probability.

        Wider where networks were timed under load, and where another onnxruntime is used.
        """
        networks = self._kernels(archs, tracer)
        predicted = self._times.network_ms(networks)
        error = self.uncertainty.relative(self._times.network_novelty(networks), coverage=coverage)
        if self.remark is not None:
            error = error + OTHER_RUNTIME
        # The error is of predicted over measured.
        return np.stack([predicted / (1 + error), predicted / np.maximum(1 - error, 0.1)], axis=1)

    def total_ms(
        self,
        archs: Sequence[Arch],
        *,
        people: int = 1,
        detector_ms: float = 0.0,
        tracer: ArchTracer | None = None,
    ) -> Floats:
        """What a user pays [N], see `nas.latency.endtoend`: network, grouping, people, person detector.

        Raises:
            UserError: the grouping of a head was never timed.
        """
        pays = EndToEnd(people=people, detector_ms=detector_ms)
        networks = self.predict_ms(archs, tracer=tracer).tolist()
        totals = (
            pays.total_ms(arch, network_ms=ms, grouping_ms=self._grouping_ms(arch))
            for arch, ms in zip(archs, networks, strict=True)
        )
        return np.fromiter(totals, np.float64, len(archs))

    def kernel_ms(self, arch: Arch, *, tracer: ArchTracer | None = None) -> list[tuple[str, Kernel, float]]:
        """Where the time of an arch goes: the module, kernel and ms of every kernel.

        They are in order of execution, but for reorders, which come last. They add up to `predict_ms`.
        """
        placed = self._mirror((tracer or TracerOfSpaces(self.spaces, self.skeleton))(arch))
        ms = self.model.kernel_ms([found.kernel for found in placed])
        ms *= self.model.of_sum(ms.sum()) / ms.sum()
        return [(found.scope, found.kernel, value) for found, value in zip(placed, ms.tolist(), strict=True)]

    def grouping_ms(self, arch: Arch) -> float | None:
        """The time outside the graph of an arch's head; None where no network with it was timed."""
        return self.outside_ms.get(arch.head.type)

    def ungrouped(self, arch: Arch) -> str:
        """What to say of an arch whose grouping was never timed."""
        return (
            f"the latency predictor has no time for the grouping of {arch.head.type!r}: no such network "
            "was measured, or its device could not time it"
        )

    def unknown_kinds(self, arch: Arch, *, tracer: ArchTracer | None = None) -> tuple[str, ...]:
        """Kinds of an arch's kernels that no measured network had: their family stands in for them."""
        (kernels,) = self._kernels([arch], tracer)
        return tuple(sorted({kernel.kind for kernel in kernels if not self.model.knows(kernel)}))

    def _kernels(self, archs: Sequence[Arch], tracer: ArchTracer | None) -> list[list[Kernel]]:
        trace = tracer or self._trace
        return [self._mirror.kernels(trace(arch)) for arch in archs]

    def _grouping_ms(self, arch: Arch) -> float:
        ms = self.grouping_ms(arch)
        if ms is None:
            raise UserError(f"{self.ungrouped(arch)}; measure some and fit again")
        return ms

    @cached_property
    def _times(self) -> KernelTimes:
        return KernelTimes(self.model, self.novelty)

    @cached_property
    def _mirror(self) -> KernelMirror:
        return mirror_of(self.channel_block, self.precision)

    @cached_property
    def _trace(self) -> ArchTracer:
        return TracerOfSpaces(self.spaces, self.skeleton, anonymous=True)
