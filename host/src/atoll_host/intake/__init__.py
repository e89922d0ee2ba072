"""How events of code locations get into the log: fairly, in few transactions, durably."""
