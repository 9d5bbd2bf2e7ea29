"""The iptables backend: the chains people know from kube-proxy."""
