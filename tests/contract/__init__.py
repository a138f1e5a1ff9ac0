"""Each connector against its contract: request schemas, sample replies, and a strict stand-in."""
