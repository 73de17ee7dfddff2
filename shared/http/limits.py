"""Rate limit: a token bucket per key, filled at the tier's rate, as deep as one second (docs/api.md, rate limit)."""

import math
import time
from collections.abc import Callable

import msgspec

BUCKETS = 10_000


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the bucket says of one request."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int


class _Bucket(msgspec.Struct):
    tokens: float
    filled_at: float


class RateLimiter:
    """The buckets of one process."""

    def __init__(self, rates: dict[str, int], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def take(self, actor: str, tier: str) -> Verdict:
        """Take one token for a request of this key."""
        rate, now = self._rates[tier], self._monotonic()
        bucket = self._bucket(actor, rate, now)
        bucket.tokens = min(float(rate), bucket.tokens + (now - bucket.filled_at) * rate)
        bucket.filled_at = now
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
        reset = max(1, math.ceil((rate - bucket.tokens) / rate))
        return Verdict(allowed=allowed, limit=rate, remaining=int(bucket.tokens), reset_seconds=reset)

    def _bucket(self, actor: str, rate: int, now: float) -> _Bucket:
        bucket = self._buckets.get(actor)
        if bucket is None:
            if len(self._buckets) >= BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[actor] = _Bucket(float(rate), now)
        return bucket
