"""SIMD vectors for numba: one instruction adds, multiplies or compares several doubles.

LLVM, which compiles numba's code to machine code, has vector types: `<8 x double>` is one register of AVX-512, two
of AVX2, four of SSE2 or NEON. Numba does not provide them in Python; this module does. A `Vector` has a number of
lanes, and is of one of three kinds:

- `double`: IEEE 754 doubles: `x + y`, `x - y`, `x * y`, `x <= y`, `x == y`, `twice_plus`;
- `mask`: booleans: `m & k`, `any_lane`, `choose`;
- `count`: counters of 8 bits: `n + m` adds 1 in the lanes where the mask is true.

`load` and `store` move a vector from and to memory. A vector may contain a block of `rows` × `lanes / rows`
pixels, row by row: `block_columns` and `block_rows` load their coordinates, and `store_block` stores the
counters in an image. Functions that create a vector have the number of its lanes as an argument: a literal, or a
vector with as many.

Each lane of an operation is one IEEE 754 operation, rounded as for a Python float. No fast-math flag is set, so
LLVM neither reorders nor fuses operations. All functions can be called in compiled code only.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

_ELEMENTS = {"double": ir.DoubleType(), "mask": ir.IntType(1), "count": ir.IntType(8)}


class Vector(types.Type):
    """Numba's type of a vector: the kind of its lanes and their number."""

    def __init__(self, kind: str, lanes: int) -> None:
        """Take the kind ("double", "mask" or "count") and the number of lanes."""
        self.kind, self.lanes = kind, lanes
        super().__init__(name=f"Vector({kind}, {lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        """The LLVM type."""
        return ir.VectorType(_ELEMENTS[self.kind], self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba has no type hints
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


def _define(
    symbol: Callable[..., Any],
    operands: tuple[str, ...],
    result: str,
    emit: Callable[..., Any],
) -> None:
    """Implement a Python operator for vectors in compiled code.

    Args:
        symbol: the operator.
        operands: the kinds of one or two operands.
        result: the kind of the result.
        emit: is called with LLVM's builder and operands, and returns LLVM's result.
    """

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return emit(builder, *values)

    def kinds(*vectors: Any) -> tuple[str, ...]:
        return tuple(vector.kind for vector in vectors if isinstance(vector, Vector))

    if len(operands) == 1:

        @intrinsic
        def unary(_typing: Any, x: Vector) -> Any:
            return Vector(result, x.lanes)(x), build

        @overload(symbol)
        def overload_unary(x):  # type: ignore[no-untyped-def]
            return (lambda x: unary(x)) if kinds(x) == operands else None
    else:

        @intrinsic
        def binary(_typing: Any, x: Vector, y: Vector) -> Any:
            return Vector(result, x.lanes)(x, y), build

        @overload(symbol)
        def overload_binary(x, y):  # type: ignore[no-untyped-def]
            return (lambda x, y: binary(x, y)) if kinds(x, y) == operands else None


_define(operator.add, ("double", "double"), "double", lambda b, x, y: b.fadd(x, y))
_define(operator.sub, ("double", "double"), "double", lambda b, x, y: b.fsub(x, y))
_define(operator.mul, ("double", "double"), "double", lambda b, x, y: b.fmul(x, y))
_define(operator.le, ("double", "double"), "mask", lambda b, x, y: b.fcmp_ordered("<=", x, y))
_define(operator.eq, ("double", "double"), "mask", lambda b, x, y: b.fcmp_ordered("==", x, y))
_define(operator.and_, ("mask", "mask"), "mask", lambda b, m, k: b.and_(m, k))
# A true lane, sign-extended to 8 bits, is −1.
_define(operator.add, ("count", "mask"), "count", lambda b, n, m: b.sub(n, b.sext(m, n.type)))


@intrinsic
def twice_plus(_typing: Any, x: Vector, y: Vector) -> Any:
    """Return 2x + y, rounded as x + x + y is.

    LLVM may use a fused multiply-add here. Doubling a double only changes its exponent, so nothing is rounded
    before the addition, and the result is the same with and without. (The exception is |x| ≥ 2¹⁰²³, where x + x
    overflows.)
    """

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(x.llvm, [x.llvm] * 3)
        name = f"llvm.fmuladd.v{x.lanes}f64"
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, name)
        two = ir.Constant(x.llvm, [2.0] * x.lanes)
        return builder.call(multiply_add, [values[0], two, values[1]])

    return x(x, y), build


@intrinsic
def any_lane(_typing: Any, mask: Vector) -> Any:
    """Return whether the mask is true in any lane."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        number = builder.bitcast(values[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", number, ir.Constant(number.type, 0))

    return types.boolean(mask), build


@intrinsic
def lanes_of(_typing: Any, vector: Vector) -> Any:
    """Return the number of lanes."""

    def build(_context: Any, _builder: Any, _signature: Any, _values: Any) -> Any:
        return ir.Constant(ir.IntType(64), vector.lanes)

    return types.int64(vector), build


@intrinsic
def choose(_typing: Any, mask: Vector, x: Vector, y: Vector) -> Any:
    """Return x in the lanes where the mask is true, y in the others."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(values[0], values[1], values[2])

    return x(mask, x, y), build


def _lanes(number: Any) -> int:
    """Return the number of lanes that a literal, or a vector with as many, stands for."""
    lanes: int = number.lanes if isinstance(number, Vector) else number.literal_value
    return lanes


def _shuffle(builder: Any, vector: Any, order: list[int]) -> Any:
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes)


def _broadcast(builder: Any, scalar: Any, lanes: int) -> Any:
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return _shuffle(builder, first, [0] * lanes)


@intrinsic(prefer_literal=True)
def doubles(_typing: Any, x: Any, lanes: Any) -> Any:
    """Return a vector with the number x in every lane."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _broadcast(builder, values[0], _lanes(lanes))

    return Vector("double", _lanes(lanes))(types.float64, lanes), build


@intrinsic(prefer_literal=True)
def counts(_typing: Any, n: Any, lanes: Any) -> Any:
    """Return a vector of counters, with n modulo 256 in every lane."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _broadcast(builder, builder.trunc(values[0], _ELEMENTS["count"]), _lanes(lanes))

    return Vector("count", _lanes(lanes))(types.int64, lanes), build


def _load(order: list[int], length: int) -> Any:
    """Return a builder that loads `length` numbers, and puts the one with the index `order[i]` into lane i."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        numbers = builder.bitcast(builder.gep(values[0], [values[1]]), Vector("double", length).llvm.as_pointer())
        return _shuffle(builder, builder.load(numbers, align=8), order)

    return build


@intrinsic(prefer_literal=True)
def block_columns(_typing: Any, xs: Any, x: Any, lanes: Any, rows: Any) -> Any:
    """Load the coordinates of a block's columns, xs[x], xs[x + 1] and so on, the same in each row."""
    n, columns = lanes.literal_value, lanes.literal_value // rows.literal_value
    signature = Vector("double", n)(xs, types.int64, lanes, rows)
    return signature, _load([lane % columns for lane in range(n)], columns)


@intrinsic(prefer_literal=True)
def block_rows(_typing: Any, ys: Any, y: Any, lanes: Any, rows: Any) -> Any:
    """Load the coordinates of a block's rows, ys[y], ys[y + 1] and so on, the same in each column."""
    n, columns = lanes.literal_value, lanes.literal_value // rows.literal_value
    signature = Vector("double", n)(ys, types.int64, lanes, rows)
    return signature, _load([lane // columns for lane in range(n)], rows.literal_value)


@intrinsic(prefer_literal=True)
def store_block(_typing: Any, image: Any, index: Any, width: Any, n: Vector, rows: Any) -> Any:
    """Store a block's counters in an image of this width, with the upper left one at image[index]."""
    columns = n.lanes // rows.literal_value

    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        image, index, width, n, _ = values
        for row in range(rows.literal_value):
            row_counts = _shuffle(builder, n, list(range(row * columns, (row + 1) * columns)))
            address = builder.gep(image, [index])
            builder.store(row_counts, builder.bitcast(address, row_counts.type.as_pointer()), align=1)
            index = builder.add(index, width)
        return context.get_dummy_value()

    return types.void(image, types.int64, types.int64, n, rows), build


@intrinsic(prefer_literal=True)
def load(_typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Load array[index], array[index + 1] and so on."""
    n = _lanes(lanes)
    return Vector("double", n)(array, types.int64, lanes), _load(list(range(n)), n)


@intrinsic
def store(_typing: Any, array: Any, index: Any, vector: Vector) -> Any:
    """Store a vector at array[index], array[index + 1] and so on."""

    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        address = builder.gep(values[0], [values[1]])
        builder.store(values[2], builder.bitcast(address, vector.llvm.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), build
