"""WHAT MAY BE LEARNED? Which generated tokens the reward depends on (StepCoder's FGO)."""

from codegym.masks.answer_mask import answer_mask
from codegym.masks.loss_mask import executed_bytes, loss_mask, statement_coverage

__all__ = ["answer_mask", "executed_bytes", "loss_mask", "statement_coverage"]
