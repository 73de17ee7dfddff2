"""The seed of everything that is random in the faults suite, and which of its tests belong to the long form."""

import os
import random

import pytest

from tests.faults.chaos import LONG, say

# The long form draws from all faults at once; the short one is spread over two files, so that two workers share it.
collect_ignore = ["test_chaos_of_services.py", "test_chaos_of_servers.py"] if LONG else ["test_chaos_of_everything.py"]


@pytest.fixture
def seed() -> int:
    """What decides everything that is random here: `ARPILOT_FAULTS_SEED` repeats faults and business."""
    seed = int(os.environ.get("ARPILOT_FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    say(f"ARPILOT_FAULTS_SEED={seed}")
    return seed
