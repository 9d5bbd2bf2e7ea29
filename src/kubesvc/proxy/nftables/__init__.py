"""The nftables backend: a constant ruleset, Services as elements."""
