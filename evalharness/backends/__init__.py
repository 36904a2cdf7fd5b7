"""What answers requests: one file a backend, and the waves that requests are sent down in."""
