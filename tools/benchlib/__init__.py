"""What `make bench` measures, and how it says so. See docs/benchmarks/README.md."""
