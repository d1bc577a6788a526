"""A mirror in Python of onnxruntime's graph optimisations: the kernels of a network, without onnxruntime.

Mirrored is what changes where CPU time goes: batch norms are folded into convolutions, activations and sums
are fused into them, matrix products read matrices turned, and tensors are reordered between blocked and plain
layouts where kernels of both meet.

Networks are made of the same module calls again and again. Hence a traced fragment is worked on as a whole,
and what comes out is remembered by it, unless something could be fused across its border.
"""

from collections.abc import Iterator, Sequence

from nas.graph import Graph
from nas.graph.fold import convolutions_before
from nas.graph.fragments import Call, Fragment
from nas.graph.operator import Source, Step
from nas.latency.kernel_part import KernelPart, PlacedKernel, may_fuse, shifted
from nas.latency.kernels import (
    ACTIVATIONS,
    ACTIVATIONS_AFTER_SUM,
    REORDER_IN,
    REORDER_OUT,
    Kernel,
    KernelRules,
)
from nas.latency.reads import LARGE, Ids, Kinds, NeededSteps, Reads, edges_of, inside, needed_of


class KernelMirror:
    """Gives the kernels of traced networks.

    Args:
        channel_block: channels that convolutions compute at once; 1 for machines without blocked layouts.
    """

    def __init__(self, channel_block: int) -> None:
        self.rules = KernelRules(channel_block)
        self._key = ("kernels", channel_block)

    def __call__(self, graph: Graph) -> tuple[PlacedKernel, ...]:
        """The kernels of a network: in an order of execution, but for reorders, which come last."""
        return self._whole(graph, edges=True)

    def kernels(self, graph: Graph) -> list[Kernel]:
        """The kernels alone, a little faster."""
        return [placed.kernel for placed in self._whole(graph, edges=False)]

    def _whole(self, graph: Graph, *, edges: bool) -> tuple[PlacedKernel, ...]:
        fragment = graph.fragment
        outputs = tuple(sorted({value for value in graph.named.values() if isinstance(value, int)}))
        return _Pass(self, fragment, outputs, (0,), edges=edges).whole(graph.images.shape)

    def part(self, fragment: Fragment, outputs: Ids, layouts: Ids, *, edges: bool) -> KernelPart:
        """What a fragment becomes, from its memory where it has been there before.

        Args:
            fragment: of a traced network.
            outputs: which of its outputs are read.
            layouts: of every input, the channels if it comes in blocks, else 0.
            edges: whether the kernels' edges are wanted.
        """
        key = (*self._key, edges, outputs, layouts)

        def make() -> KernelPart:
            return _Pass(self, fragment, outputs, layouts, edges=edges).part()

        return fragment.remember(key, make)


class _Pass:
    """The way of one fragment through the mirror."""

    def __init__(
        self, mirror: KernelMirror, fragment: Fragment, outputs: Ids, layouts: Ids, *, edges: bool
    ) -> None:
        self._mirror, self._rules, self._edges = mirror, mirror.rules, edges
        self._placed: list[PlacedKernel] = []
        # All by edge: the operator that makes it, the index of the kernel that leaves it, readers, shape, and
        # the channels of those in blocks.
        self._makers: dict[int, Step] = {}
        self._left: dict[int, int] = {}
        self._reads: dict[int, Kinds] = {}
        self._shapes: dict[int, Sequence[int]] = {}
        self._layouts = {edge: channels for edge, channels in enumerate(layouts) if channels}
        self._plain: set[int] = set()
        self._blocked: set[int] = set()
        self._inputs = fragment.inputs
        needed = needed_of(fragment, outputs)
        self._reads.update((edge, needed.reads.get(edge, ())) for edge in range(fragment.inputs))
        self._outputs = {index: needed.outputs[index] for index in outputs}
        if needed.flat:
            self._take_all(needed)
        else:
            ids = self._expand(needed, range(fragment.inputs), {}, made=0)
            self._outputs = {index: ids[own] for index, own in self._outputs.items()}

    def whole(self, images: Sequence[int]) -> tuple[PlacedKernel, ...]:
        """The kernels of a whole network on images of this shape; its outputs are plain."""
        self._shapes[0] = images
        self._plain.update(self._outputs.values())
        return (*self._placed, *self._reorders(border=frozenset()))

    def part(self) -> KernelPart:
        """The kernels of a part, and what its surroundings have to know."""
        outputs = self._outputs.values()
        border = frozenset((*range(self._inputs), *outputs))
        return KernelPart(
            placed=(*self._placed, *self._reorders(border=border)),
            outputs=self._outputs,
            layouts={edge: self._layouts[edge] for edge in outputs if edge in self._layouts},
            leaves={edge: self._left[edge] for edge in outputs if edge in self._left},
            plain=border & self._plain,
            blocked=border & self._blocked,
        )

    def _take_all(self, needed: NeededSteps) -> None:
        """Take the operators of a fragment whose ids are this pass's edges."""
        for step, _, _ in needed.steps:
            assert not isinstance(step, Call)
            for edge, type_ in zip(step.outputs, step.operator.output_types, strict=True):
                self._reads[edge] = needed.reads.get(edge, ())
                self._shapes[edge] = type_.shape
            self._take(step)

    def _expand(
        self, needed: NeededSteps, arguments: Sequence[int], outside: Reads, *, made: int
    ) -> dict[int, int]:
        """Take all steps of a fragment.

        Args:
            needed: its steps.
            arguments: the edges of its inputs.
            outside: own id -> who reads it beyond the fragment, if the fragment is a part of this pass.
            made: how many edges come before those that it makes.

        Returns:
            Own id -> edge.
        """
        ids = dict(enumerate(arguments))
        reads = needed.reads
        if outside:
            beyond = {own: (*inside(reads.get(own, ())), *kinds) for own, kinds in outside.items()}
            reads = {**reads, **beyond}
        for step, inner, start in needed.steps:
            if isinstance(step, Call):
                self._take_call(step, inner, ids, reads, made=made + start)
                continue
            operator, sources, owns = step
            edge = self._inputs + made + start
            outputs = tuple(range(edge, edge + len(owns)))
            for own, edge, type_ in zip(owns, outputs, operator.output_types, strict=True):
                ids[own] = edge
                self._reads[edge] = reads.get(own, ())
                self._shapes[edge] = type_.shape
            inputs = tuple([ids[source] if isinstance(source, int) else source for source in sources])
            self._take(Step(operator, inputs, outputs))
        return ids

    def _take_call(self, call: Call, inner: Ids, ids: dict[int, int], reads: Reads, *, made: int) -> None:
        fragment = call.fragment
        arguments = [ids.get(own, -1) for own in call.arguments]
        results = {index: reads[call.first + index] for index in inner}
        layouts = tuple([self._layouts.get(edge, 0) for edge in arguments])
        part = None
        if fragment.makes >= LARGE and not any(self._is_open(edge) for edge in arguments):
            part = self._mirror.part(fragment, inner, layouts, edges=self._edges)
        if part is None or part.is_torn(results):
            self._go_into(call, inner, ids, results, made=made)
            return
        shift, first = self._inputs + made - fragment.inputs, len(self._placed)

        def outer(edge: int) -> int:
            return arguments[edge] if edge < fragment.inputs else edge + shift

        self._placed += shifted(part.placed, shift) if self._edges else part.placed
        for index, edge in part.outputs.items():
            ids[call.first + index] = result = outer(edge)
            if edge >= fragment.inputs:
                self._reads[result] = results[index]
                self._shapes[result] = fragment.types[index].shape
                if edge in part.layouts:
                    self._layouts[result] = part.layouts[edge]
                if edge in part.leaves:
                    self._left[result] = first + part.leaves[edge]
        if part.plain or part.blocked:
            self._plain.update(map(outer, part.plain))
            self._blocked.update(map(outer, part.blocked))

    def _go_into(self, call: Call, inner: Ids, ids: dict[int, int], results: Reads, *, made: int) -> None:
        """Take the steps of a call one by one: it cannot be worked on by itself."""
        needed = needed_of(call.fragment, inner)
        outside: dict[int, Kinds] = {}
        for index, kinds in results.items():
            own = needed.outputs[index]
            outside[own] = (*outside.get(own, ()), *kinds)
        arguments = [ids.get(own, -1) for own in call.arguments]
        found = self._expand(needed, arguments, outside, made=made)
        ids.update((call.first + index, found[needed.outputs[index]]) for index in inner)

    def _is_open(self, edge: int) -> bool:
        """Whether what reads an edge may be fused with the kernel that leaves it."""
        if edge not in self._left or len(self._reads[edge]) != 1:
            return False
        return may_fuse(self._placed[self._left[edge]].kernel, self._reads[edge])

    def _take(self, step: Step) -> None:
        operator, (output, *_) = step.operator, step.outputs
        self._makers.update(dict.fromkeys(step.outputs, step))
        if operator.kind == "batch_norm" and self._folds(step):
            self._extend(edges_of(step)[0], output)
        elif operator.kind in ACTIVATIONS and (fused := self._fused_activation(step)) is not None:
            self._extend(edges_of(step)[0], output, fused)
        elif self._is_read_turned(step):
            self._plain.update(edges_of(step))
        elif self._rules.works_on_blocks(operator):
            self._read_blocked(step)
            self._append(self._rules.kernel(operator), step, blocked=True)
        elif not self._stays_blocked(step):
            self._plain.update(edges_of(step))
            self._append(self._rules.kernel(operator), step, blocked=False)
        elif operator.kind == "add" and (summed := self._fused_sum(step)) is not None:
            kernel = self._placed[self._left[summed]].kernel
            self._extend(summed, output, kernel._replace(summed=1, read=kernel.read + kernel.written))
        else:
            self._append(self._rules.entrywise(operator), step, blocked=True)

    def _append(self, kernel: Kernel, step: Step, *, blocked: bool) -> None:
        for edge in step.outputs:
            self._left[edge] = len(self._placed)
            if blocked:
                self._layouts[edge] = step.operator.shape[1]
        self._placed.append(PlacedKernel(kernel, step.operator.scope, step.outputs))

    def _extend(self, edge: int, output: int, kernel: Kernel | None = None) -> None:
        """Let the kernel that leaves an edge leave the output in its place."""
        index = self._left[output] = self._left[edge]
        placed = self._placed[index]
        self._placed[index] = PlacedKernel(kernel or placed.kernel, placed.scope, (*placed.edges, output))
        if edge in self._layouts:
            self._layouts[output] = self._layouts[edge]

    def _folds(self, norm: Step) -> bool:
        """Whether a batch norm disappears in the convolutions before it."""

        def maker(edge: Source) -> Step | None:
            return self._makers.get(edge) if isinstance(edge, int) and len(self._reads[edge]) == 1 else None

        return bool(convolutions_before(norm.inputs[0], maker))

    def _is_read_turned(self, step: Step) -> bool:
        """Whether a transpose disappears in the matrix product that reads it."""
        return self._reads[step.outputs[0]] == ("matmul",) and self._rules.turns_a_matrix(step.operator)

    def _open_convolution(self, edge: int) -> Kernel | None:
        """The convolution that leaves an edge, if a single operator reads that and it has no activation."""
        if edge not in self._left or len(self._reads[edge]) != 1:
            return None
        kernel = self._placed[self._left[edge]].kernel
        return kernel if kernel.kind.startswith("conv.") and not kernel.activation else None

    def _fused_activation(self, step: Step) -> Kernel | None:
        """The convolution before an activation with that in it."""
        (edge,), kind = edges_of(step), step.operator.kind
        kernel = self._open_convolution(edge)
        if kernel is None or (kernel.summed and kind not in ACTIVATIONS_AFTER_SUM):
            return None
        return kernel._replace(activation=1 + ACTIVATIONS.index(kind))

    def _fused_sum(self, step: Step) -> int | None:
        """The input whose convolution takes the sum of two blocked tensors upon itself."""
        for edge in edges_of(step):
            kernel = self._open_convolution(edge)
            if kernel is not None and not kernel.summed:
                return edge
        return None

    def _stays_blocked(self, step: Step) -> bool:
        """Whether an operator that is no convolution works on blocked tensors as they are."""
        edges = edges_of(step)
        if len(edges) != len(step.inputs) or not all(edge in self._layouts for edge in edges):
            return False
        return self._rules.stays_blocked(step.operator, [self._layouts[edge] for edge in edges])

    def _read_blocked(self, step: Step) -> None:
        """Note what a kernel on blocks does to the layout of its input."""
        edge = edges_of(step)[0]
        if self._rules.reads_plain(step.operator):
            self._plain.add(edge)
        elif edge not in self._layouts:
            self._blocked.add(edge)

    def _reorders(self, *, border: frozenset[int]) -> Iterator[PlacedKernel]:
        """The reorders of all edges but those of the border."""
        for kind, edges in ((REORDER_IN, self._blocked), (REORDER_OUT, self._plain & self._layouts.keys())):
            for edge in sorted(edges - border):
                scope = self._placed[self._left[edge]].scope if edge in self._left else ""
                yield PlacedKernel(self._rules.reorder(kind, self._shapes[edge]), scope, (edge,))
