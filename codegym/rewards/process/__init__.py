"""Process rewards: the lines that a policy writes are scored, and the scores are paid for.

The scores come from a *process reward model*, behind a protocol that knows nothing of it: what a
program was judged to be worth after each of its lines (:mod:`codegym.rewards.process.scorer`). How
scores become rewards of tokens is said by a *form* (:mod:`codegym.rewards.process.forms`); when
the scorer is asked and what has been paid, by the *ledger* (:mod:`codegym.rewards.process.ledger`).
Which tokens end a scored line is said by :mod:`codegym.programs.scored_lines`.
"""
