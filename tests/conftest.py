"""What holds for all tests."""

from hypothesis import settings

# No test fails for being slow: a busy machine is not a bug.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
