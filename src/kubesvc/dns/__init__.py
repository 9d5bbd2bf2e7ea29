"""The cluster's DNS: Services, endpoints and pods as names (Kubernetes DNS specification 1.1.0).

`run.run(DnsOptions(...))` is the whole server. Nothing is imported from here, so that a worker
process, which only answers, does not load the API client.
"""
