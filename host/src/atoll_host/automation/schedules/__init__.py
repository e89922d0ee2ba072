"""Schedules: when each is due, what its tick decides, and the term of the leader that acts."""
