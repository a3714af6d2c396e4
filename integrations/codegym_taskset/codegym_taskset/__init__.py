"""The taskset that verifiers finds under the id ``codegym-taskset``.

It also exports the harness of a plain chat, which becomes this taskset's default: the model writes
its answer at once, and has no shell.
"""

from verifiers.v1.harnesses.null import NullHarness

from codegym_taskset.taskset import CodegymTaskset

__all__ = ["CodegymTaskset", "NullHarness"]
