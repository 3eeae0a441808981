"""Hostile input, by family: generators, and the test that tries a few of each."""
