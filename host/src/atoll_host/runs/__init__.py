"""Runs: what may be launched, the queue, handing over to locations, watching, canceling."""
