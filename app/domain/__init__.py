"""What the relay is about, without I/O, clock or framework."""
