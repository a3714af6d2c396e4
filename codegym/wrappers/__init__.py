"""HOW IS IT CHANGED WITHOUT BEING TOUCHED? Wrappers, one behaviour a file."""

from codegym.wrappers.allowed_tokens import AllowedTokens
from codegym.wrappers.recent_tokens import RecentTokens

__all__ = ["AllowedTokens", "RecentTokens"]
