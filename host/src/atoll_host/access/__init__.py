"""Who calls the host, and what they are allowed to."""
