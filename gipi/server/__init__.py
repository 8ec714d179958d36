"""A kept model on the web: rows come in over HTTP, answers go out. See serving.py for how the parts stand together."""
