"""The demo: what it shows, step by step."""
