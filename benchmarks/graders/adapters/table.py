"""All graders, by name."""

from __future__ import annotations

from benchmarks.graders.adapters import (
    apps,
    codegym,
    evalplus,
    gem,
    human_eval,
    livecodebench,
    nemo_gym,
    open_r1,
    rllm,
    skyrl,
    verl,
)
from benchmarks.graders.task import Adapter

__all__ = ["ADAPTERS"]

ADAPTERS: dict[str, Adapter] = {
    module.ADAPTER.name: module.ADAPTER
    for module in (
        codegym,
        human_eval,
        evalplus,
        apps,
        livecodebench,
        verl,
        skyrl,
        rllm,
        nemo_gym,
        gem,
        open_r1,
    )
}
"""codegym first."""
