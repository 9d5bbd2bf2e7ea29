"""The node's own HTTPS API: logs, exec and attach for the API server."""
