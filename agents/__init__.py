"""Agents that learn to write programs in codegym's environments.

Run from the checkout (``python -m agents.train``); not part of the installed package. They use only
what codegym's rooms list in ``__all__``.
"""

import importlib.util

from codegym.errors import ConfigurationError

if importlib.util.find_spec("torch") is None:
    raise ConfigurationError(
        "The agents need PyTorch and transformers, which the library does without. Install them: "
        "pip install -e '.[agents]'"
    )
