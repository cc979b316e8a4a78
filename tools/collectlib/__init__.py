"""What explains a failure, gathered on a node: files, an index of them, one archive."""
