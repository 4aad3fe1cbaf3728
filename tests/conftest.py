"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure; what must be fast has a benchmark of its own.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
