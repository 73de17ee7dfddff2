"""Prometheus metrics of the mechanisms that are not described beside their own code."""

from prometheus_client import Counter, Gauge, Histogram

FINE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_SECONDS = Histogram(
    "arpilot_http_request_seconds",
    "Time to answer a request",
    ("service", "method", "route", "status"),
    buckets=FINE_BUCKETS,
)
HTTP_IN_FLIGHT = Gauge("arpilot_http_requests_in_flight", "Requests being answered now")
HTTP_SHED = Counter("arpilot_http_requests_shed_total", "Requests refused because too many were in flight")
POOL_WAIT_SECONDS = Histogram(
    "arpilot_database_pool_wait_seconds", "Wait for a database connection", ("service",), buckets=FINE_BUCKETS
)
