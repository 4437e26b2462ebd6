"""Machine code: compiled once for this machine, and kept in a file from which LLVM loads it.

numba has a cache of its own, but to read it takes all of numba and most of a second. The file takes a few
milliseconds. It lies in the user's cache folder (`XDG_CACHE_HOME`), named by all that its content depends on.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import llvmlite
from llvmlite import binding
from platformdirs import user_cache_path

from oat.process import write_atomically

log = logging.getLogger(__name__)

_SYMBOL = "kernel"


@cache
def machine_features() -> frozenset[str]:
    """Name the instruction sets to compile for, as LLVM calls them: "avx2", "neon".

    They are the machine's, unless numba is told others by `NUMBA_CPU_FEATURES`.
    """
    told = os.environ.get("NUMBA_CPU_FEATURES")
    if told is not None:
        return frozenset(name[1:] for name in told.split(",") if name.startswith("+"))
    return frozenset(name for name, there in binding.get_host_cpu_features().items() if there)


def load(name: str, sources: Iterable[Path], llvm_code: Callable[[], tuple[str, str]]) -> int:
    """Return the address of a function, compiled from what `llvm_code` returns: code, and its name there.

    Where the file of an earlier call with the same `name` and `sources` is there, it is loaded instead.
    """
    file = user_cache_path("oat") / f"{name}-{_digest(sources)}.o"
    code = _read(file)
    if code is None:
        log.info("compiling the renderer for this machine, once: it takes some seconds")
        code = _compile(*llvm_code())
        try:
            _write(file, code)
        except OSError as error:
            log.warning("the compiled renderer can't be kept: %s", error)
    return _link(code)


def _digest(sources: Iterable[Path]) -> str:
    """Sum up what the machine code depends on."""
    digest = hashlib.sha256()
    machine = binding.get_process_triple(), _processor(), *sorted(machine_features()), llvmlite.__version__
    for part in (*map(str.encode, machine), *(source.read_bytes() for source in sources)):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _processor() -> str:
    return os.environ.get("NUMBA_CPU_NAME") or str(binding.get_host_cpu_name())


def _target() -> binding.TargetMachine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = os.environ.get("NUMBA_CPU_FEATURES") or binding.get_host_cpu_features().flatten()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=_processor(), features=features, opt=3, jit=True
    )


def _compile(code: str, function: str) -> bytes:
    module = binding.parse_assembly(code)
    module.get_function(function).name = _SYMBOL
    machine_code: bytes = _target().emit_object(module)
    return machine_code


def _link(code: bytes) -> int:
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    address: int = engine.get_function_address(_SYMBOL)
    return address


_engines: list[binding.ExecutionEngine] = []
"""What is loaded goes with its engine."""


def _read(file: Path) -> bytes | None:
    """Return what `_write` wrote, None where there is no such file, or a damaged one."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    checksum, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(file: Path, code: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file.parent, file.name, hashlib.sha256(code).digest() + code)
