"""What user code may ask of the instance, through its code server."""
