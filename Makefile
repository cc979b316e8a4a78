# The verbs that a person types. Each installs what it needs first.
.DEFAULT_GOAL := help

.PHONY: help deps demo demo-down test check bench

help:
	@echo "make demo       a real two-node Kubernetes with networks, shown step by step; stays up"
	@echo "make demo-down  ends it and removes all that it made"
	@echo "make test       every test, from nothing on a fresh machine"
	@echo "make check      format, tidy on changed files, unit and netns tests: before each commit"
	@echo "make bench      what Multinet costs, beside what it is compared with; on a quiet machine"

deps:
	@tools/install-deps

demo: deps
	@tools/demo

demo-down:
	@tools/cluster down --name demo

test: deps
	@tools/test

check: deps
	@tools/check

bench: deps
	@tools/bench
