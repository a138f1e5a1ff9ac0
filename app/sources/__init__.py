"""One module per sender: verify who sent it, and say what it means."""
