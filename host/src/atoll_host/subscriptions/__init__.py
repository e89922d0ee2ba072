"""Sends events to receivers that subscribed to them, by HTTP."""
