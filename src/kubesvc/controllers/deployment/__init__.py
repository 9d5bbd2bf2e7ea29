"""The Deployment controller: ReplicaSets old and new, and the way from one to the other."""
