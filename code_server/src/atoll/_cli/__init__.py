"""The command line. `main` is its root; each command is a module that loads when it is called."""
