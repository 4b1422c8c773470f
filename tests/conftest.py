"""What holds for all tests."""

from hypothesis import settings

# No test fails for being slow: a busy machine is not a bug. The examples are the same in each run, so that what fails
# here fails anywhere; for others: --hypothesis-profile=hunt.
settings.register_profile("any machine", deadline=None, derandomize=True)
settings.register_profile("hunt", deadline=None)
settings.load_profile("any machine")
