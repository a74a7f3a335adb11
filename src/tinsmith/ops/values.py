"""From integers to real numbers and back, as every kernel does it (arithmetic §1)."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.call import Arg, Array, Call
from tinsmith.ops.floatmath import Float32
from tinsmith.quant.rounding import FloatArray, saturate


def power(exponent: int) -> np.float32:
    """2**exponent; infinity or 0 beyond float32."""
    with np.errstate(over="ignore"):
        return np.float32(np.ldexp(1.0, exponent))


def real(arg: Arg) -> Float32:
    """``f32(x · 2**e_x)``; a float input as it is."""
    data = arg.data.astype(np.float32)
    return data if arg.data.dtype == np.float32 else data * power(arg.exponent)


def from_real(call: Call, values: Float32) -> Array:
    """Output 0 from real numbers: ``sat(R(f32(y · 2**-e_y)))``, or the float32 values themselves."""
    if call.is_float:
        return values
    with np.errstate(over="ignore"):
        scaled = values * power(-call.out.exponent)
    return rounded(call, scaled)


def rounded(call: Call, scaled: FloatArray) -> Array:
    """Output 0 from float32 (or float64) numbers in units of its last place: ``sat(R(v))``."""
    return saturated(call, call.target.rounding.to_int(np.asarray(scaled)))


def saturated(call: Call, integers: Array) -> Array:
    """Output 0 from integers of any width: ``sat(v)``."""
    return saturate(integers, call.bits).astype(call.out.dtype.numpy)


def shifted(call: Call, integers: Array, shift: int) -> Array:
    """Output 0 from integers in units 2**shift times finer: ``sat(rshift(v, shift))``."""
    return saturated(call, call.target.rounding.rshift(integers, shift))


def narrow_sum(call: Call, count: int, power: int = 1) -> str | None:
    """What is wrong where ``count`` terms |x|**power of input 0 can exceed the 32 bits the kernel sums them in."""
    source = call.arg(0).data
    if source.dtype.kind != "i" or count << power * (8 * source.dtype.itemsize - 1) < 1 << 31:
        return None
    return f"the sum over {count} elements can exceed the 32 bits it is kept in. Reduce in two steps."
