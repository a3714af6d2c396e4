"""Gets a data file once, with a progress bar, and keeps its checksum beside it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codegym.errors import DataError, DataFormatError
from codegym.problems.files.connection import check_connection

__all__ = ["download", "verify"]

_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_RETRIES = 1
_PIP_LINE = "pip install -e '.[download]' (in codegym's checkout)"


def download(url: str, target: Path, check: Callable[[Path], None]) -> Path:
    """Downloads a file and adds its checksum to ``<target>.sha256``.

    Any number of processes may do so at once: each has a place of its own for what it receives,
    and `target` is a whole file at all times, with its checksum among those beside it.

    Args:
        url: Where the file comes from.
        target: Where the file goes; its folder is made if needed.
        check: Is given what was received, and raises a :class:`~codegym.errors.DataError` if that
            is not what it should be. It is then not kept.

    Returns:
        `target`.

    Raises:
        ConnectionError: If no connection could be made within 5 seconds: there is no network.
        OSError: If it could not be downloaded for another reason: a refusal, a connection that
            broke, a malformed proxy, another file than expected, or the optional packages for
            downloads are not installed (the message says which).
    """
    check_connection(url, _CONNECT_SECONDS)
    pooch = _pooch()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=target.name + ".", dir=target.parent) as folder:
        received = Path(folder) / target.name
        _receive(pooch, url, received)
        try:
            check(received)
        except DataError as error:
            told = str(error).replace(str(received), received.name)
            raise OSError(f"what came is another file and was not kept: {told}") from error
        with _checksum_file(target).open("a") as file:
            file.write(_sha256(received) + "\n")
        os.replace(received, target)
    return target


def _receive(pooch: Any, url: str, received: Path) -> None:
    timeouts = (_CONNECT_SECONDS, _READ_SECONDS)
    getter = pooch.HTTPDownloader(progressbar=_has_tqdm(), timeout=timeouts)
    pooch.get_logger().setLevel("ERROR")
    for attempt in range(_RETRIES + 1):
        try:
            getter(url, str(received), None)
            return
        except (OSError, ValueError) as error:
            response = getattr(error, "response", None)
            if response is not None:
                response.close()  # the exception would keep its socket open
            if response is not None or attempt == _RETRIES:
                raise OSError(_first_line(error)) from error


def verify(path: Path) -> None:
    """Checks a downloaded file against the checksums beside it; without any there is no check.

    Raises:
        DataFormatError: If the file has changed since it was downloaded.
    """
    beside = _checksum_file(path)
    if not beside.is_file():
        return
    # In this order: whoever replaces the file meanwhile has added its checksum before.
    checksum = _sha256(path)
    if checksum.encode() not in beside.read_bytes().split():
        raise DataFormatError(
            f"{path} is not the file that was downloaded: its SHA-256 differs from {beside.name} "
            "beside it. Delete both to download it again, or name your own copy with data=."
        )


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pooch() -> Any:
    try:
        return importlib.import_module("pooch")
    except ImportError:
        raise OSError(f"downloads need an optional package: {_PIP_LINE}") from None


def _has_tqdm() -> bool:
    return importlib.util.find_spec("tqdm") is not None


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"
