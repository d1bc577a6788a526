"""Fragments: what one module call does, recorded once and used wherever the same call occurs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor

from nas.graph.constants import Constant, ConstantPool
from nas.graph.operator import Operator, Source, Step
from nas.graph.registry import Binding, find
from nas.graph.symbols import Symbol, TensorType, map_tree

T = TypeVar("T")

_SHARED: dict[Any, Any] = {}


def share(value: T) -> T:
    """One object for equal values: a cache holds the same few shapes a hundred thousand times."""
    shared: T = _SHARED.setdefault(value, value)
    return shared


class Value(Symbol):
    """A symbol that depends on the network's input: an edge of the fragment being recorded."""

    __slots__ = ("frame", "id")
    varies = True

    def __init__(self, type_: TensorType, frame: "Frame", id_: int) -> None:
        self.type = type_
        self.frame = frame
        self.id = id_

    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.frame.apply(function, args, kwargs)

    def __repr__(self) -> str:
        return f"Value({self.id}, {list(self.shape)}, {self.dtype})"


@dataclass(frozen=True, slots=True)
class Call:
    """A fragment used inside another: its arguments there, and the id of the first of its results."""

    fragment: "Fragment"
    arguments: tuple[int, ...]
    first: int

    @property
    def trained(self) -> "Call":
        """Of the fragment as it is trained; itself where that is the same."""
        fragment = self.fragment.trained
        return self if fragment is self.fragment else replace(self, fragment=fragment)


@dataclass(frozen=True)
class Slot:
    """Which value is meant, among the outputs of a fragment."""

    index: int


@dataclass(frozen=True, eq=False)
class Fragment:
    """Operators and inner fragments in order. Ids count inputs first, then results in order of steps.

    Args:
        inputs: number of inputs.
        steps: what is done.
        size: number of ids.
        outputs: ids of what it gives.
        types: their types.
        form: what the module returned, with slots in place of its values.
        macs: multiply-accumulates of all steps.
        branched: as it was recorded, where parallel convolutions were merged.
    """

    inputs: int
    steps: tuple[Operator | Call, ...]
    size: int
    outputs: tuple[int, ...]
    types: tuple[TensorType, ...]
    form: Any
    macs: int
    branched: "Fragment | None" = field(default=None, repr=False)
    _memory: dict[Any, Any] = field(default_factory=dict, repr=False, init=False)

    @cached_property
    def trained(self) -> "Fragment":
        """With every parallel convolution that was merged apart; itself where there is none."""
        recorded = self.branched or self
        steps = tuple([step.trained if isinstance(step, Call) else step for step in recorded.steps])
        if all(old is new for old, new in zip(recorded.steps, steps, strict=True)):
            return recorded
        macs = sum(step.fragment.macs if isinstance(step, Call) else step.macs for step in steps)
        return replace(recorded, steps=steps, macs=macs)

    @cached_property
    def weights(self) -> dict[int, Constant]:
        """The distinct constants that come from parameters, by identity."""
        found: dict[int, Constant] = {}
        for step in self.steps:
            if isinstance(step, Call):
                found.update(step.fragment.weights)
            else:
                found.update((id(weight), weight) for weight in step.weights)
        return found

    def total(self, measure: Callable[[Operator], T], zero: T) -> T:
        """The sum of a measure over all operators; remembered by every fragment."""

        def add() -> T:
            total: Any = zero
            for step in self.steps:
                total = total + (
                    step.fragment.total(measure, zero) if isinstance(step, Call) else measure(step)
                )
            result: T = total
            return result

        return self.remember(measure, add)

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, from the second call with a key on without calling it."""
        if key not in self._memory:
            self._memory[key] = make()
        found: T = self._memory[key]
        return found

    @cached_property
    def makes(self) -> int:
        """How many edges the operators give, those of inner fragments included."""
        return sum(
            step.fragment.makes if isinstance(step, Call) else len(step.outputs) for step in self.steps
        )

    def flatten(self) -> tuple[list[Step], list[int]]:
        """All operators in an order of execution, and the unique id of each of this fragment's own ids.

        The unique ids count this fragment's inputs first, then what the operators give.
        """
        steps: list[Step] = []
        ids, _ = self._flatten_into(steps, range(self.inputs), self.inputs)
        return steps, ids

    def _flatten_into(
        self, steps: list[Step], arguments: Iterable[int], next_id: int
    ) -> tuple[list[int], int]:
        """Append the operators; gives the unique id of each own id, and the next one that is free."""
        ids = [*arguments, *([-1] * (self.size - self.inputs))]
        for step in self.steps:
            if isinstance(step, Call):
                inner = [ids[i] for i in step.arguments]
                found, next_id = step.fragment._flatten_into(steps, inner, next_id)
                for own, output in enumerate(step.fragment.outputs, step.first):
                    ids[own] = found[output]
            else:
                outputs = tuple(range(next_id, next_id + len(step.outputs)))
                next_id += len(outputs)
                for local, output in zip(step.outputs, outputs, strict=True):
                    ids[local] = output
                inputs = tuple([ids[s] if type(s) is int else s for s in step.inputs])
                steps.append(Step(step, inputs, outputs))
        return ids, next_id

    def refill(self, values: list[Value]) -> Any:
        """What the module returned, with these values in it."""
        if type(self.form) is Slot:
            return values[0]
        return map_tree(lambda leaf: values[leaf.index] if type(leaf) is Slot else leaf, self.form)


class Frame:
    """Records one fragment.

    Args:
        scope: full name of the module that is recorded.
        pool: where constants come from.
        inputs: the types of its inputs.
    """

    def __init__(self, scope: str, pool: ConstantPool, inputs: Sequence[TensorType]) -> None:
        self.scope = scope
        self.pool = pool
        self.macs = 0
        self._steps: list[Operator | Call] = []
        self.inputs = [Value(type_, self, index) for index, type_ in enumerate(inputs)]
        self._size = len(self.inputs)

    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Record a torch function. Raises UnknownOperatorError for one without a record."""
        record, swapped = find(function)
        bound = record.bind(*(reversed(args) if swapped else args), **kwargs)
        if not isinstance(bound, Binding):
            return bound
        inputs = tuple([self._source(operand) for operand in bound.operands])
        results = share(bound.results)
        outputs = self._new(results)
        operator = Operator(
            kind=record.kind,
            scope=self.scope,
            inputs=inputs,
            outputs=tuple([output.id for output in outputs]),
            attributes=bound.attributes,
            input_types=share(tuple([None if o is None else TensorType.of(o) for o in bound.operands])),
            output_types=results,
            macs=record.macs(bound),
        )
        self.macs += operator.macs
        self._steps.append(operator)
        return bound.wrap(outputs)

    def call(self, fragment: Fragment, arguments: Sequence[Value]) -> Any:
        """Use a fragment here; gives what its module returned."""
        for argument in arguments:
            self._check(argument)
        ids = tuple([argument.id for argument in arguments])
        self._steps.append(Call(fragment, ids, self._size))
        self.macs += fragment.macs
        return fragment.refill(self._new(fragment.types))

    @contextmanager
    def inside(self, scope: str) -> Iterator[None]:
        """Record for another module meanwhile."""
        outer, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = outer

    def close(self, result: Any) -> Fragment:
        """The fragment, given what the module returned."""
        outputs: list[Value] = []

        def slot(leaf: Any) -> Any:
            if not isinstance(leaf, Value):
                return leaf
            self._check(leaf)
            outputs.append(leaf)
            return share(Slot(len(outputs) - 1))

        form = map_tree(slot, result)
        fragment = Fragment(
            inputs=len(self.inputs),
            steps=tuple(self._steps),
            size=self._size,
            outputs=tuple(output.id for output in outputs),
            types=share(tuple([output.type for output in outputs])),
            form=form,
            macs=self.macs,
        )
        self.inputs, self._steps = [], []  # symbols and frame refer to each other; leave no garbage in cycles
        return fragment

    def _new(self, types: Sequence[TensorType]) -> list[Value]:
        first = self._size
        self._size += len(types)
        return [Value(type_, self, first + index) for index, type_ in enumerate(types)]

    def _source(self, operand: Symbol | Tensor | None) -> Source:
        if isinstance(operand, Value):
            self._check(operand)
            return operand.id
        if isinstance(operand, Tensor):
            return self.pool.given(operand)
        assert operand is None or isinstance(operand, Constant)
        return operand

    def _check(self, value: Value) -> None:
        if value.frame is not self:
            raise ValueError(
                f"modules {self.scope!r} and {value.frame.scope!r} share a tensor that was not passed: "
                "tensors reach a module as arguments only"
            )
