"""What user code may ask of the instance: assets and runs, wherever they are stored."""
