"""Runs cases of the conformance suite on graders, codegym's and other people's.

`conformance.py` beside this package is the command. A grader is run in a fresh set of processes
for each case (`contain`), where `harness` plays the host, starts the grader and looks for what the
program did to the host. `adapters` turn a case into a call of one grader's own function. Inside
the containment only the standard library and the grader's own packages are there, so `harness`,
`host` and `adapters` import nothing else.
"""
