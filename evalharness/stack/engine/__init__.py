"""What turns jobs into forward passes: `requests` is the interface, `plain` the engine behind it."""
