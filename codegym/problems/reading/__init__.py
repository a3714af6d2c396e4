"""Other people's test code and values: what is certain is read, the rest refused with the reason.

Nothing is executed here. The readers know no data set; `sources/` puts them together.
"""
