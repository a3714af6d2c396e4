"""Agents that learn to write programs in codegym's environments.

Run from the checkout (``python -m agents.train``); not part of the installed package. They use only
what codegym's rooms list in ``__all__``.

Methods: :mod:`agents.reinforce` (whole in one file), :mod:`agents.ppo`, and on top of it
:mod:`agents.prm`; those of other papers are in :mod:`agents.methods`. They are made of shared
parts, each a function or a small object:

- ``rollout``, ``decoding``, ``completions``: episodes, in groups or from any prefix
- ``policy``, ``critic``, ``scoring``: what the models say of them
- ``rewards``, ``advantages``, ``masks``, ``losses``: what is learned from them
- ``trainer``, ``guard``, ``checkpoint``, ``telemetry``, ``evaluate``: the loop around a method
"""

import importlib.util

from codegym.errors import ConfigurationError

if importlib.util.find_spec("torch") is None:
    raise ConfigurationError(
        "The agents need PyTorch and transformers, which the library does without. Install them: "
        "pip install -e '.[agents]'"
    )
