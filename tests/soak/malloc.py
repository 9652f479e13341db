"""How much memory the C library has given out. The rule: what is asked for, not what the kernel lent for it.

Resident memory says what the most at once needed: what is freed stays with the allocator, between what is still used.
What is given out goes down again, so that a leak of some bytes a request shows in minutes. Python's objects of up to
512 bytes are not in it (`sys.getallocatedblocks` counts those); arrays, long texts, tables and SQLite's pages are.
"""

import ctypes
from functools import cache


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc's malloc.h: sums over all arenas, those of threads too."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


@cache
def _asked() -> "ctypes._NamedFuncPointer | None":
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is not None:
        function.restype = _Mallinfo2
    return function


def heap_bytes() -> int:
    """What is given out; 0 where the C library does not tell (glibc does since 2.33)."""
    function = _asked()
    if function is None:
        return 0
    told = function()
    return int(told.uordblks + told.hblkhd)
