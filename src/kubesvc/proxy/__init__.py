"""A node's Service rules: from the API's Services and EndpointSlices to the kernel."""
