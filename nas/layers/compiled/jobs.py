"""Loops that several threads share: each reads from the same job what to work on, and takes shares of it.

A job is memory of integers: how many shares have been taken, how many there are, and then `_SLOT` for each
argument: an array's address and size, a shape, or a number. So a loop is a C function of one pointer, which
whoever has threads can call, without Python.
"""

import ctypes
from array import array as memory
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from nas.layers.compiled.parts import PARTS, Array
from nas.layers.compiled.team import run_together

_FIRST, _SLOT = 2, 4

_JOB = numba.types.CPointer(numba.types.int64)

_Built = tuple[Any, Callable[..., Any]]

contracted = numba.njit(fastmath={"contract"})
"""Compiles what a loop does: products may be fused with sums; what is not finite stays so, since training
looks for it."""


class Loop:
    """A loop, compiled; called with its arguments, and with how many threads.

    Args:
        function: what each thread does with a job, in the types that it knows. What is compiled is kept on
            disk where that can be.
    """

    def __init__(self, function: Callable[[Any], None]) -> None:
        signature = numba.types.void(_JOB)
        try:
            self._compiled = numba.cfunc(signature, cache=True)(function)
        except RuntimeError:  # nowhere to write what was compiled
            self._compiled = numba.cfunc(signature)(function)
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._compiled.address)

    def __call__(self, *arguments: Array | tuple[int, ...] | int, threads: int) -> None:
        """Work through all parts (`PARTS`) of the arguments: flat arrays, shapes of four sides, numbers."""
        integers = [0, threads]
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                integers += (argument.ctypes.data, argument.size, 0, 0)
            elif isinstance(argument, tuple):
                integers += argument
            else:
                integers += (argument, 0, 0, 0)
        job = memory("q", integers)
        run_together(self._call, job.buffer_info()[0], threads=threads)


@numba.njit  # type: ignore[untyped-decorator]
def shares(job: Any) -> Iterator[tuple[int, int]]:
    """First part and last of each share that no other thread has taken."""
    taken = _take(job)
    while taken < job[1]:
        yield PARTS * taken // job[1], PARTS * (taken + 1) // job[1]
        taken = _take(job)


@numba.njit  # type: ignore[untyped-decorator]
def array(job: Any, argument: int, kind: Any) -> Array:
    """An argument that is a flat array of this kind of numbers."""
    at = _FIRST + _SLOT * argument
    return numba.carray(_pointer(job[at]), job[at + 1], kind)  # type: ignore[no-any-return]


@numba.njit  # type: ignore[untyped-decorator]
def shape(job: Any, argument: int) -> tuple[int, int, int, int]:
    """An argument that is a shape."""
    at = _FIRST + _SLOT * argument
    return job[at], job[at + 1], job[at + 2], job[at + 3]


@numba.njit  # type: ignore[untyped-decorator]
def number(job: Any, argument: int) -> int:
    """An argument that is a number."""
    return job[_FIRST + _SLOT * argument]  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def _take(context: Any, job: Any) -> _Built:
    """The number of the share that this thread takes: each is taken by one."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", args[0], ir.Constant(ir.IntType(64), 1), "monotonic")

    return numba.types.int64(job), build


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(context: Any, address: Any) -> _Built:
    """Where an address points to."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return numba.types.voidptr(address), build
