"""One module per kind of generated page: each turns what the code declares into Markdown."""
