"""Measurements, each a command of its own; never part of a test run, since nothing here can pass or fail."""
