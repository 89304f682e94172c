"""What all tests share."""

from hypothesis import settings

# A shared machine decides how long an example takes, so time is no verdict.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
