"""Ties the requirements of the standard to the tests that carry them."""
