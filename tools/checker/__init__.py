"""The checker: does what the API, the kernel and the agents' journals say agree? See docs/checker.md."""
