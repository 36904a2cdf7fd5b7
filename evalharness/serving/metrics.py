"""What a server counts, for Prometheus."""

from __future__ import annotations

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Upper edges of the histograms' buckets."""


class Metrics:
    """Counters, gauges and histograms of one server, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "evalharness_requests", "Requests by endpoint and status.", ("endpoint", "status"), registry=registry
        )
        self.running = Gauge("evalharness_requests_running", "Requests that the model works on.", registry=registry)
        self.queued = Gauge("evalharness_requests_queued", "Requests that wait for the model.", registry=registry)
        self.cancelled = Counter(
            "evalharness_requests_cancelled", "Requests whose client left, or that the stop cut off.", registry=registry
        )
        self.prompt_tokens = Counter(
            "evalharness_prompt_tokens", "Prompt tokens of answered requests.", registry=registry
        )
        self.generated_tokens = Counter(
            "evalharness_generated_tokens", "Tokens generated for answered requests.", registry=registry
        )
        self.first_token = Histogram(
            "evalharness_time_to_first_token_seconds",
            "From the arrival of a streamed request to its first token.",
            buckets=SECONDS,
            registry=registry,
        )
        self._seconds = Histogram(
            "evalharness_request_seconds",
            "From the arrival of a request to the end of its answer.",
            ("endpoint",),
            buckets=SECONDS,
            registry=registry,
        )

    def ended(self, endpoint: str, status: int, seconds: float) -> None:
        """A request has come to its end."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """Everything in Prometheus's text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
