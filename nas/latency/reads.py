"""Who reads what in a traced fragment: the part of it that is needed, and how its edges are used."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nas.graph.fragments import Call, Fragment
from nas.graph.operator import Step

_OUTPUT = "output"
# Calls that make fewer edges than this are not worth remembering what becomes of them.
LARGE = 4

Ids = tuple[int, ...]
Kinds = tuple[str, ...]
Reads = Mapping[int, Kinds]
"""Edge -> kinds of the operators that read it; an output counts as read."""


class NeededSteps(NamedTuple):
    """The part of a fragment that some outputs depend on; ids are the fragment's own, or its unique ones.

    Args:
        steps: operators, and calls with those of their outputs that are needed; and how many edges the steps
            before, needed or not, make.
        outputs: the id of every output of the fragment.
        reads: who reads an id, at any depth.
        inputs: who in the fragment reads each of its inputs.
        passed: outputs (index) that are inputs (index).
        flat: whether the ids are the unique ones: all steps are operators then.
    """

    steps: tuple[tuple[Step | Call, Ids, int], ...]
    outputs: Sequence[int]
    reads: Reads
    inputs: tuple[Kinds, ...]
    passed: tuple[tuple[int, int], ...]
    flat: bool


def needed_of(fragment: Fragment, outputs: Ids) -> NeededSteps:
    """What of a fragment the outputs of these indices depend on; remembered by the fragment."""
    found: NeededSteps = fragment.remember(("needed", outputs), lambda: _find(fragment, outputs))
    return found


def _find(fragment: Fragment, outputs: Ids) -> NeededSteps:
    """A fragment without large calls is flattened: going into every single layer would take longer."""
    if all(step.fragment.makes < LARGE for step in fragment.steps if isinstance(step, Call)):
        return _find_flat(fragment, outputs)
    reads: dict[int, Kinds] = {fragment.outputs[index]: (_OUTPUT,) for index in outputs}
    kept: list[tuple[Step | Call, Ids, int]] = []
    for step, start in reversed(_steps(fragment)):
        if not isinstance(step, Call):
            if not reads.keys().isdisjoint(step.outputs):
                kept.append((step, (), start))
                _read(reads, edges_of(step), (step.operator.kind,))
            continue
        first = step.first
        inner = tuple([index for index in range(len(step.fragment.outputs)) if first + index in reads])
        if inner:
            kept.append((step, inner, start))
            deeper = needed_of(step.fragment, inner)
            for argument, kinds in zip(step.arguments, deeper.inputs, strict=True):
                if kinds:
                    reads[argument] = (*reads[argument], *kinds) if argument in reads else kinds
            for index, position in deeper.passed:
                # What is passed through is read by whoever reads it outside.
                _read(reads, [step.arguments[position]], reads[first + index])
    return _needed(fragment, outputs, kept, fragment.outputs, reads, flat=False)


def _needed(
    fragment: Fragment,
    outputs: Ids,
    kept: Sequence[tuple[Step | Call, Ids, int]],
    own_outputs: Sequence[int],
    reads: Reads,
    *,
    flat: bool,
) -> NeededSteps:
    return NeededSteps(
        steps=tuple(reversed(kept)),
        outputs=own_outputs,
        reads=reads,
        inputs=tuple([inside(reads.get(own, ())) for own in range(fragment.inputs)]),
        passed=tuple(
            [(index, own_outputs[index]) for index in outputs if own_outputs[index] < fragment.inputs]
        ),
        flat=flat,
    )


def _read(reads: dict[int, Kinds], owns: Sequence[int], kinds: Kinds) -> None:
    for own in owns:
        reads[own] = (*reads[own], *kinds) if own in reads else kinds


def _find_flat(fragment: Fragment, outputs: Ids) -> NeededSteps:
    steps, ids = fragment.flatten()
    own_outputs = [ids[own] for own in fragment.outputs]
    reads: dict[int, Kinds] = {own_outputs[index]: (_OUTPUT,) for index in outputs}
    kept: list[tuple[Step | Call, Ids, int]] = []
    for step in reversed(steps):
        if not reads.keys().isdisjoint(step.outputs):
            kept.append((step, (), step.outputs[0] - fragment.inputs))
            _read(reads, edges_of(step), (step.operator.kind,))
    return _needed(fragment, outputs, kept, own_outputs, reads, flat=True)


def _steps(fragment: Fragment) -> list[tuple[Step | Call, int]]:
    """The steps, and how many edges those before make."""
    steps: list[tuple[Step | Call, int]] = []
    made = 0
    for step in fragment.steps:
        if isinstance(step, Call):
            steps.append((step, made))
            made += step.fragment.makes
        else:
            steps.append((Step(step, step.inputs, step.outputs), made))
            made += len(step.outputs)
    return steps


def inside(kinds: Kinds) -> Kinds:
    """Readers without the world outside."""
    return tuple(kind for kind in kinds if kind != _OUTPUT) if _OUTPUT in kinds else kinds


def edges_of(step: Step) -> list[int]:
    """The edges that an operator reads; its other inputs are constants."""
    return [edge for edge in step.inputs if isinstance(edge, int)]
