"""WHAT MAY BE LEARNED? Which generated tokens the reward depends on (StepCoder's FGO)."""

from codegym.masks.loss_mask import executed_bytes, loss_mask, statement_coverage

__all__ = ["executed_bytes", "loss_mask", "statement_coverage"]
