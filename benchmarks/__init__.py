"""How fast the relay is, each figure against its yardstick in the same run."""
