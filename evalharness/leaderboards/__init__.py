"""Tables of many models: cells that compare, averages with errors, ranks that share what cannot be told apart."""
