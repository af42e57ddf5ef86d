"""How the hot loops are compiled: numba, cached on disk, and without the interpreter's lock.

Numba keys its cache by the file of the outermost function alone, so a change to a
function in *another* file that it calls would go unnoticed. The cache therefore lies
in a folder named after the content of all files that hold compiled functions: after
an upgrade they are compiled anew, once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from numba import config, njit

F = TypeVar("F", bound=Callable[..., object])


def _cache_folder() -> Path:
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        source = file.read_bytes()
        if b"@compiled" in source:
            digest.update(source)
    # NUMBA_CACHE_DIR is numba's own setting: an operator with a read-only home points it elsewhere.
    wanted = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
    if not os.access(wanted if wanted.exists() else wanted.parent, os.W_OK):
        wanted = Path(tempfile.gettempdir()) / f"london-connection-{os.getuid()}"
    return wanted / f"compiled-{digest.hexdigest()}"


def is_cached() -> bool:
    """Whether anything of this version has been compiled on this machine before."""
    return _cache_folder().exists()


config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]  # numba sets its options at run time


def compiled(function: F) -> F:
    """Compile on first call, cache on disk, release the interpreter's lock while it runs."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def compiled_loosely(function: F) -> F:
    """The same for loops over 32-bit figures that are only looked at first: sums may be added up in any order.

    Its figures must be finite.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath=True)(function))
