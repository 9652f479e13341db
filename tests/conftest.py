"""What all tests share: hypothesis without a clock, since this must pass on a busy machine."""

from hypothesis import settings

settings.register_profile("startline", deadline=None, print_blob=True)
settings.load_profile("startline")
