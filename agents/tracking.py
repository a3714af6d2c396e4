"""A run's scalars in an experiment tracker as well: Weights & Biases, or trackio.

Neither is a dependency; one is imported when a run names it. Both have the same three functions,
``init``, ``log`` and ``finish``, and nothing else of them is used. Where a run is sent, and who may
see it, is the business of the tracker's own configuration, such as ``WANDB_MODE``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from codegym.errors import ConfigurationError

__all__ = ["Tracker", "TrackerName"]

TrackerName = Literal["wandb", "trackio"]
_PROJECT = "codegym"


class Tracker:
    """One run in a tracker, in its project ``codegym``. A context manager.

    Args:
        name: Of the tracker.
        out: The run's folder, after which it is called there.
        settings: Of the run; what JSON does not know is sent as text.

    Raises:
        ConfigurationError: If the tracker is not installed, or does not begin a run.
    """

    def __init__(self, name: TrackerName, *, out: Path, settings: Mapping[str, Any]) -> None:
        try:
            self._module: Any = importlib.import_module(name)
        except ImportError as error:
            raise ConfigurationError(
                f"track={name!r} needs the package {name}, which cannot be imported ({error}). "
                f"Install it with pip install {name}, or leave track out: scalars.jsonl and "
                "tensorboard/ are written in any case."
            ) from error
        config = json.loads(json.dumps(dict(settings), default=str))
        try:
            self._module.init(project=_PROJECT, name=str(out), config=config)
        except Exception as error:  # each tracker has its own, for networks, keys and quotas
            raise ConfigurationError(
                f"track={name!r}: {name} does not begin a run ({type(error).__name__}: {error}). "
                "Configure it as its documentation says, or leave track out."
            ) from error

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Sends named numbers of a step.

        Args:
            step: Iteration; never less than the last one.
            values: Finite numbers by name.
        """
        self._module.log(dict(values), step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._module.finish()
