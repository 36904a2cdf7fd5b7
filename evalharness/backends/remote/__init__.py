"""What backends share whose models sit behind somebody else's server: concurrency, retries, budgets, prices."""
