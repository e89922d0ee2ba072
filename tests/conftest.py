"""What all tests share. Fixtures live in plugins, or in the folder that needs them."""

pytest_plugins = ["tests.postgres"]
