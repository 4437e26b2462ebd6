"""Compiled functions are called with arrays that nobody else has to keep."""

import ctypes
import weakref

import numpy as np

from oat.rendering.machine_code import _callable


def test_an_array_that_nobody_else_references_is_there_until_the_function_returns():
    arrays, seen = [], []

    def fresh():
        array = np.arange(4, dtype=np.uint8)
        arrays.append(weakref.ref(array))
        return array

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 3)
    def function(_returned, _raised, pointer):
        seen.append((arrays[0]() is not None, ctypes.string_at(pointer, 4)))
        return 0

    _callable(ctypes.cast(function, ctypes.c_void_p).value, [ctypes.c_void_p])(fresh())
    assert seen == [(True, bytes(range(4)))]
    assert arrays[0]() is None
