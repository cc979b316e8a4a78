"""The test cluster: a whole Kubernetes on one machine, made of real programs in namespaces."""
