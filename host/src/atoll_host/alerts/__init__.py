"""Tells people what goes wrong: rules, what they find, and messages on their way."""
