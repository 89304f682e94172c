"""One module for each family: its tiny configurations, and what the tests must know of it."""
