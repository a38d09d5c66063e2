"""The benchmarks count and compare what they say."""
