"""What the end-to-end tests and the demo share: a cluster in Python's words."""
