"""The code locations of the mesh: who serves them, what they define, and how to talk to them."""
