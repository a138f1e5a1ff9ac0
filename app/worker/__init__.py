"""The dispatcher loop and the upkeep."""
