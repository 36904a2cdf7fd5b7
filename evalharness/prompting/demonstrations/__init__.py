"""Which solved samples stand before a question: selection by named policies."""
