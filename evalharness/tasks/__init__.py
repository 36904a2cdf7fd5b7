"""Task definitions: YAML to composed, runnable tasks; protocols, suites, hashes."""
