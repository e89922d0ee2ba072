"""Plans and runs steps in this process, and evaluates sensors.

Knows neither sockets nor protobuf: whoever runs it gives it a sink for the events and an instance
to ask.
"""
