"""What all tests share. Fixtures live in plugins, or in the folder that needs them."""

import os

import hypothesis

pytest_plugins = ["tests.postgres"]

# Machines may be busy: no test fails for the time that an example takes.
hypothesis.settings.register_profile("atoll", deadline=None)
hypothesis.settings.load_profile("atoll")

# The contexts of whoever runs the tests are not those of the tests.
os.environ["ATOLL_CONFIG_DIR"] = "/nonexistent/atoll"
