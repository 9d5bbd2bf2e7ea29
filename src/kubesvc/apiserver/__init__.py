"""The Kubernetes API over a store: authentication, validation, allocation, watches, HTTPS."""
