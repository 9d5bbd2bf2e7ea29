"""The EndpointSlice controller: from a Service and its pods to slices of at most 100 endpoints."""
