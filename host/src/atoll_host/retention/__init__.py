"""Removes what is old and needed by nobody: what may go, and the loop that takes it."""
