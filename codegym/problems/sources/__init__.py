"""The data sets that codegym knows, one file each, all alike: how a row becomes a problem.

A new one is a file beside them and a line in :mod:`codegym.problems.load`, or a file of your own
that calls :func:`codegym.problems.register_source`.
"""
