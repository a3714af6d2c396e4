"""Which files a program may find in its working folder, and which may be wanted afterwards."""

from __future__ import annotations

import itertools
from typing import Any

from codegym.errors import ConfigurationError
from codegym.execution.sandbox.fence.files import MOST_BYTES

__all__ = ["check_files"]

_MOST_FILES = 1_000
_NAME_BYTES, _PATH_BYTES = 255, 2_000


def check_files(files: Any, fetch: Any) -> None:
    """Checks `Request.files` and `Request.fetch`.

    Raises:
        ConfigurationError: If a path leads out of the folder, or could be of no file; if two of the
            files cannot lie there together; or if they are too many or too large.
    """
    for name, value in (("files", files), ("fetch", fetch)):
        if not isinstance(value, tuple | list) or len(value) > _MOST_FILES:
            raise ConfigurationError(
                f"Request.{name} must be a tuple of at most {_MOST_FILES}, got {value!r:.100}."
            )
    for pair in files:
        well_formed = isinstance(pair, tuple | list) and len(pair) == 2
        if not well_formed or not isinstance(pair[1], bytes):
            raise ConfigurationError(
                f"Request.files must be pairs of a path and bytes, got {pair!r:.100} among them."
            )
    names = [name for name, _ in files]
    for name in (*names, *fetch):
        _check_path(name)
    # In this order a folder stands right before what lies in it. All folders of all names would be
    # a thousand times as many bytes as the names.
    ordered = sorted(name.replace("/", "\0") for name in names)
    if any(f"{two}\0".startswith(f"{one}\0") for one, two in itertools.pairwise(ordered)):
        raise ConfigurationError(
            "Request.files names a path twice, or as a file and as a folder: "
            f"{sorted(names)!r:.200}."
        )
    size = sum(len(data) for _, data in files)
    if size > MOST_BYTES:
        raise ConfigurationError(
            f"Request.files has {size} bytes; a program's folder takes {MOST_BYTES}."
        )


def _check_path(path: object) -> None:
    try:
        encoded = path.encode() if isinstance(path, str) else b""
    except UnicodeEncodeError:
        encoded = b""
    parts = encoded.split(b"/")
    good = all(part not in (b"", b".", b"..") and len(part) <= _NAME_BYTES for part in parts)
    if not good or b"\0" in encoded or len(encoded) > _PATH_BYTES:
        raise ConfigurationError(
            "A file of a Request has a path below the program's folder, such as 'data/in.txt', "
            f"without '.', '..' or empty parts, got {path!r:.100}."
        )
