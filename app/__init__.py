"""Lifecycle Relay: accepts a platform's lifecycle events and carries each one where it belongs."""

__version__ = "0.1.0"
