"""The generator of CodeGen-Mini: phrases, how they compose, what is tested, and the problems."""
