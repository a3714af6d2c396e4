"""The seams of other people's trainers."""
