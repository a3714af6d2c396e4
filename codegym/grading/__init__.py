"""IS IT RIGHT?"""
