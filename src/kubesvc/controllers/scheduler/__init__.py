"""The scheduler: which node a pod goes to (kube-scheduler's filters and a small part of its scoring)."""
