"""One module per destination, each a generator that yields requests and receives replies."""
