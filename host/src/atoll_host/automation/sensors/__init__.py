"""Sensors: when each is due, what its evaluation decides, and the term of the leader that acts."""
