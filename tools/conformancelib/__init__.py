"""What the conformance suite of ClusterNetworkPolicy says."""
