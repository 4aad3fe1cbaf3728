"""What holds for every test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import overheard

# A busy machine is no failure; what must be fast has a benchmark of its own.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def no_log_holds_a_token_or_what_people_say(request: pytest.FixtureRequest) -> Iterator[None]:
    """Scan the log of every test, whatever it is about."""
    if request.path.name == "test_redaction.py":  # logs secrets to see them hidden
        yield
        return
    overheard.forget_all()
    ear = overheard.Ear()
    logging.getLogger().addHandler(ear)
    yield
    logging.getLogger().removeHandler(ear)
    assert ear.leaks() == []
