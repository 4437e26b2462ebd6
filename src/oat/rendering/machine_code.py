"""Machine code: a function is compiled once for this machine, and cached in a file from which LLVM loads it.

numba has a cache too, but reading it takes most of a second, since it needs all of numba. This one takes
milliseconds. The files lie in the user's cache directory (`XDG_CACHE_HOME`); their names contain a digest of all
that the machine code depends on.
"""

import ctypes
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

from oat.addresses import cache_folder
from oat.process import write_atomically

log = logging.getLogger(__name__)

_SYMBOL = "kernel"
"""The name of the function in the object file."""

_CHECKSUM_SIZE = hashlib.sha256().digest_size
"""Bytes at the beginning of a cached file: the SHA-256 of the rest."""


_NUMBA_VARIABLES = frozenset({"NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME"})
"""Variables of numba that are observed: they name another machine to compile for."""


@cache
def cpu_features() -> frozenset[str]:
    """Return the CPU features to compile for, by LLVM's names, as "avx2" or "neon".

    They are those of this machine, unless `NUMBA_CPU_FEATURES` names others, as numba's documentation says.
    """
    configured = os.environ.get("NUMBA_CPU_FEATURES")
    if configured is not None:
        return frozenset(name[1:] for name in configured.split(",") if name.startswith("+"))
    return frozenset(name for name, available in binding.get_host_cpu_features().items() if available)


def load(
    name: str, sources: Iterable[Path], llvm_code: Callable[[], tuple[str, str]], arguments: Sequence[type]
) -> Callable[..., int]:
    """Load a function from the cache, or compile it and add it to the cache.

    Args:
        name: the beginning of the cached file's name.
        sources: the files that determine what `llvm_code` returns.
        llvm_code: on a cache miss, returns LLVM's intermediate representation and the function's name there.
        arguments: the types of the function's arguments, of `ctypes`.

    Returns:
        The function, which releases the GIL. For a pointer it takes a writable array, passes the address of its
        first element, and holds it until it returns. It returns the integer that the compiled function returns,
        and 0 if that returns None.
    """
    folder = cache_folder()
    file = folder and folder / f"{name}-{_digest(sources)}.o"
    code = _read(file) if file else None
    if code is None:
        _log_compiling()
        _forget_numba_variables()
        code = _compile(*llvm_code())
        try:
            if file is None:
                raise FileNotFoundError("there is no home directory; set HOME or XDG_CACHE_HOME")
            _write(file, code)
        except OSError as error:
            log.warning("the compiled renderer can't be kept: %s", error)
    return _callable(_link(code), arguments)


def _forget_numba_variables() -> None:
    """Remove variables that tell numba how to compile, or not to: the code depends on the machine alone."""
    for name in [name for name in os.environ if name.startswith("NUMBA_") and name not in _NUMBA_VARIABLES]:
        del os.environ[name]


@cache
def _log_compiling() -> None:
    log.info("compiling the renderer for this machine, once: it takes some seconds")


def _callable(address: int, arguments: Sequence[type]) -> Callable[..., int]:
    # Numba's calling convention: the first two arguments are pointers to the returned value and to an exception.
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *arguments)(address)

    def call(*values: object) -> int:
        returned, raised = ctypes.c_int64(), ctypes.c_void_p()
        addresses = (_address(value) if isinstance(value, np.ndarray) else value for value in values)
        function(ctypes.byref(returned), ctypes.byref(raised), *addresses)
        return returned.value  # until here `values` references the arrays, so none is freed while it is in use

    return call


def _address(array: NDArray[Any]) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data))


def _digest(sources: Iterable[Path]) -> str:
    """Return a digest of all that the machine code depends on, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    machine = binding.get_process_triple(), _cpu_name(), *sorted(cpu_features()), llvmlite.__version__
    for part in (*map(str.encode, machine), *(source.read_bytes() for source in sources)):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _cpu_name() -> str:
    return os.environ.get("NUMBA_CPU_NAME") or str(binding.get_host_cpu_name())


def _target_machine() -> binding.TargetMachine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = os.environ.get("NUMBA_CPU_FEATURES") or binding.get_host_cpu_features().flatten()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=_cpu_name(), features=features, opt=3, jit=True
    )


def _compile(code: str, function: str) -> bytes:
    """Compile LLVM's intermediate representation to an object file, with `function` as `_SYMBOL`."""
    module = binding.parse_assembly(code)
    module.get_function(function).name = _SYMBOL
    object_file: bytes = _target_machine().emit_object(module)
    return object_file


def _link(object_file: bytes) -> int:
    """Load an object file into this process and return the address of its function."""
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target_machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(object_file))
    engine.finalize_object()
    _engines.append(engine)
    address: int = engine.get_function_address(_SYMBOL)
    return address


_engines: list[binding.ExecutionEngine] = []
"""The engines of all loaded functions, referenced because an engine frees its code when it is collected."""


def _read(file: Path) -> bytes | None:
    """Return the object file that `_write` wrote, None if the file is missing or damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    checksum, code = content[:_CHECKSUM_SIZE], content[_CHECKSUM_SIZE:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(file: Path, code: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file.parent, file.name, hashlib.sha256(code).digest() + code)
