"""Writes the pages of the committed results anew, each from its JSON file; no benchmark is run.

Usage: ``python -m benchmarks.pages``, from the root of the repository.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from benchmarks.page import RESULTS

__all__ = ["PAGES", "rendered"]

PAGES = {
    "conformance": "conformance_report",
    "coverage": "coverage",
    "fgo": "fgo_report",
    "fgo_learning": "fgo_learning_report",
    "generation": "generation",
    "grading": "grading_report",
    "hardening": "hardening",
    "memory": "memory",
    "methods": "methods_report",
    "oversubscription": "oversubscription",
    "prm": "prm_report",
    "prm_exact": "prm_exact",
    "regrade": "regrade_report",
    "robustness": "robustness_report",
    "serving": "serving",
    "shared_prompts": "shared_prompts",
    "soak": "soak_report",
    "stable_baselines": "stable_baselines",
    "start_states": "start_states_report",
    "stepping": "stepping_report",
    "system_calls": "system_calls",
    "training": "training_report",
    "validation": "validate_data",
}
"""The module whose function `lines` makes a page, by name of the page."""


def rendered(name: str, folder: Path = RESULTS) -> str:
    """The page of one result as its JSON file has it."""
    results = json.loads((folder / f"{name}.json").read_text())
    module = importlib.import_module(f"benchmarks.{PAGES[name]}")
    return "\n".join(module.lines(results)) + "\n"


if __name__ == "__main__":
    for page in PAGES:
        (RESULTS / f"{page}.md").write_text(rendered(page))
