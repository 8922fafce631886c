"""Makes the fixtures of `support.fixtures` known to every test below this folder."""

pytest_plugins = ["support.fixtures"]
