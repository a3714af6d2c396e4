"""Process reward model: labels by binary search, training, line scores (arXiv 2410.17621)."""
