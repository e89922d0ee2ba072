"""Makes `python -m atoll` the `atoll` command, for interpreters without scripts on the PATH."""

from atoll._cli import main

if __name__ == "__main__":
    main.main(prog_name="atoll")
