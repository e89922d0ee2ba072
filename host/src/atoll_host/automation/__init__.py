"""Starts work without a person: one folder for each kind, and the dispatcher that leads."""
