"""Evaluates sensors: which are due, what they decided, and the tick that stores it."""
