"""Rollouts and curves of a run as one page: what is read, and how it is written into the page."""
