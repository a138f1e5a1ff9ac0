"""The documentation, and the program that makes those of its pages that come from the code."""
