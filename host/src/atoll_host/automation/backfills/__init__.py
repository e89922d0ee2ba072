"""Backfills: what each is to do, what it requests next, and the term of the leader that acts."""
