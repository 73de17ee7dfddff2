"""What the dispatcher measures."""

from prometheus_client import Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("arpilot_webhooks_queue_depth", "Deliveries that are outstanding, due or not")
OLDEST_DUE_SECONDS = Gauge("arpilot_webhooks_oldest_due_seconds", "Age of the oldest due delivery that is not claimed")
IN_FLIGHT = Gauge("arpilot_webhooks_in_flight", "Deliveries that this process is making")
OPEN_CIRCUITS = Gauge("arpilot_webhooks_open_circuits", "Endpoints whose circuit breaker is open")
ATTEMPTS = Counter("arpilot_webhooks_attempts_total", "Attempts", ("outcome",))
ATTEMPT_SECONDS = Histogram(
    "arpilot_webhooks_attempt_seconds",
    "Time from the start of an attempt to its end",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
FENCED = Counter("arpilot_webhooks_fenced_total", "Results that came after somebody else had taken the delivery over")
