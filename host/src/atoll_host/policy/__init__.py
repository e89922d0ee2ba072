"""Who may watch, depend on, launch and read what of whom."""
