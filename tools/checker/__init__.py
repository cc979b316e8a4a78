"""Do the API, the kernel and the agents' journals say the same? See docs/checker.md."""
