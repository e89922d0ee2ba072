"""What new definitions of a location would break."""
