"""Agents that learn to write programs in codegym's environments.

Run from the checkout (``python -m agents.train``); not part of the installed package. They use only
what codegym's rooms list in ``__all__``.
"""
