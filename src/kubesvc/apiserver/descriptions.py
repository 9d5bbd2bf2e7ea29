"""What `kubectl explain` says: short descriptions of the types and fields that Services are made of.

Keys are schema types and `type.field`; `*.field` speaks for a field of that name on any type. Fields
that are not listed are published without a description.
"""

TYPE_META = {
    "apiVersion": "Group and version of this document's schema, such as v1 or apps/v1.",
    "kind": "What this document describes, such as Service. It cannot be changed.",
}

ENUMS: dict[str, tuple[str, ...]] = {
    "core.v1.ServiceSpec.type": ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
    "core.v1.ServiceSpec.sessionAffinity": ("ClientIP", "None"),
    "core.v1.ServiceSpec.externalTrafficPolicy": ("Cluster", "Local"),
    "core.v1.ServiceSpec.internalTrafficPolicy": ("Cluster", "Local"),
    "core.v1.ServiceSpec.ipFamilyPolicy": ("PreferDualStack", "RequireDualStack", "SingleStack"),
    "core.v1.ServicePort.protocol": ("SCTP", "TCP", "UDP"),
    "core.v1.EndpointPort.protocol": ("SCTP", "TCP", "UDP"),
    "core.v1.ContainerPort.protocol": ("SCTP", "TCP", "UDP"),
    "discovery.v1.EndpointPort.protocol": ("SCTP", "TCP", "UDP"),
    "discovery.v1.EndpointSlice.addressType": ("FQDN", "IPv4", "IPv6"),
    "core.v1.PodSpec.restartPolicy": ("Always", "Never", "OnFailure"),
    "core.v1.PodSpec.dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "core.v1.PodStatus.phase": ("Failed", "Pending", "Running", "Succeeded", "Unknown"),
    "core.v1.HTTPGetAction.scheme": ("HTTP", "HTTPS"),
    "apps.v1.DeploymentStrategy.type": ("Recreate", "RollingUpdate"),
}

_COMMON = {
    "*.metadata": "Name, namespace, labels and the rest of what every object carries.",
    "*.items": "The objects of this list.",
    "*.conditions": "Aspects of the current state, each with a type, a status and a reason.",
    "*.observedGeneration": "The metadata.generation this status speaks of.",
    "*.matchLabels": "Labels that must all be present with exactly these values.",
    "*.matchExpressions": "Further requirements on labels; all must hold.",
}

_META = {
    "meta.v1.ObjectMeta": "What every object carries, whatever its kind.",
    "meta.v1.ObjectMeta.name": "Name of the object, unique per kind within its namespace. It cannot be changed.",
    "meta.v1.ObjectMeta.generateName": "Prefix from which the server makes a unique name when `name` is empty.",
    "meta.v1.ObjectMeta.namespace": "The namespace the object lives in; empty for kinds that live in none.",
    "meta.v1.ObjectMeta.labels": "Key-value pairs that selectors match, such as those of Services.",
    "meta.v1.ObjectMeta.annotations": "Key-value pairs for tools and people; selectors do not see them.",
    "meta.v1.ObjectMeta.uid": "Identifies this object among all that ever had its name. Set by the server.",
    "meta.v1.ObjectMeta.resourceVersion": "Changes with every write; an update that names an older one is refused.",
    "meta.v1.ObjectMeta.generation": "Counts the changes of the desired state. Set by the server.",
    "meta.v1.ObjectMeta.creationTimestamp": "When the object was created, in UTC. Set by the server.",
    "meta.v1.ObjectMeta.deletionTimestamp": "When the object is to be gone; set once its deletion was asked for.",
    "meta.v1.ObjectMeta.deletionGracePeriodSeconds": "Seconds the object may still take to end, once deleted.",
    "meta.v1.ObjectMeta.finalizers": "Keeps a deleted object until every name here has been removed.",
    "meta.v1.ObjectMeta.ownerReferences": "Objects this one depends on; it is collected when all of them are gone.",
    "meta.v1.ObjectMeta.managedFields": "Which manager set which fields, for server-side apply.",
    "meta.v1.ListMeta": "What every list carries.",
    "meta.v1.Time": "A moment as RFC 3339 writes it, to the second.",
    "meta.v1.MicroTime": "A moment as RFC 3339 writes it, to the microsecond.",
    "meta.v1.LabelSelector": "Chooses objects by their labels; an empty one chooses all.",
    "meta.v1.DeleteOptions": "How an object is to be deleted.",
    "meta.v1.Status": "The outcome of a request that does not answer with an object.",
    "meta.v1.OwnerReference": "Names an object that owns this one.",
    "resource.Quantity": "An amount such as 500m, 1.5 or 64Mi.",
    "intstr.IntOrString": "A number, or a name that stands for one.",
}

_SERVICE = {
    "core.v1.Service": "One stable address, name and port set in front of a changing group of pods.",
    "core.v1.ServiceList": "A list of Services.",
    "core.v1.Service.spec": "What the Service should be: which pods, which ports, reachable from where.",
    "core.v1.Service.status": "What the cluster has made of it, such as the load balancer's address.",
    "core.v1.ServiceSpec": "The desired state of a Service.",
    "core.v1.ServiceSpec.type": (
        "From where the Service can be reached. ClusterIP (the default): from inside the cluster, at an address of its "
        "own. NodePort: that, and at a port of every node. LoadBalancer: that, and at an outside address where a "
        "provider is configured. ExternalName: no address and no proxying, DNS answers with a CNAME to externalName."
    ),
    "core.v1.ServiceSpec.selector": (
        "Labels a pod must all have, with these values, to stand behind the Service. Without a selector, endpoints are "
        "left to whoever writes them. Ignored for ExternalName."
    ),
    "core.v1.ServiceSpec.ports": "The ports the Service offers. With more than one, each needs a name.",
    "core.v1.ServiceSpec.clusterIP": (
        "Address inside the cluster; chosen from the service range when empty, `None` for a headless Service whose "
        "name resolves to the pods' own addresses. Cannot be changed once set, except by way of ExternalName."
    ),
    "core.v1.ServiceSpec.clusterIPs": "One cluster address per IP family; the first equals clusterIP.",
    "core.v1.ServiceSpec.externalIPs": "Addresses routed to a node by other means, on which the Service also answers.",
    "core.v1.ServiceSpec.externalName": "The outside name that DNS answers with; needed by type ExternalName.",
    "core.v1.ServiceSpec.sessionAffinity": (
        "ClientIP sends one client's connections to the same pod for a while; None (the default) spreads them all."
    ),
    "core.v1.ServiceSpec.sessionAffinityConfig": "Details of the affinity, such as how long it lasts.",
    "core.v1.ServiceSpec.externalTrafficPolicy": (
        "Where traffic from outside goes. Cluster (the default): to any ready pod. Local: only to pods on the node it "
        "arrived at, which keeps the client's address; dropped where that node has none."
    ),
    "core.v1.ServiceSpec.internalTrafficPolicy": (
        "Where traffic to the cluster address goes. Cluster (the default): to any ready pod. Local: only to pods on "
        "the client's own node; dropped where it has none."
    ),
    "core.v1.ServiceSpec.healthCheckNodePort": (
        "Port of every node that tells load balancers whether it has local pods; for LoadBalancer with policy Local."
    ),
    "core.v1.ServiceSpec.publishNotReadyAddresses": "Counts pods that are not ready as ready, for peer discovery.",
    "core.v1.ServiceSpec.loadBalancerIP": "The outside address asked for, where the provider can grant it. Deprecated.",
    "core.v1.ServiceSpec.loadBalancerClass": "Leaves the Service to the load balancer implementation of this name.",
    "core.v1.ServiceSpec.loadBalancerSourceRanges": "Client CIDRs that may reach the load balancer's address.",
    "core.v1.ServiceSpec.allocateLoadBalancerNodePorts": "Whether a LoadBalancer also has node ports; default true.",
    "core.v1.ServiceSpec.ipFamilies": "IPv4, IPv6 or both, in order of preference.",
    "core.v1.ServiceSpec.ipFamilyPolicy": "Whether one IP family is enough, or two are wanted or needed.",
    "core.v1.ServiceSpec.trafficDistribution": (
        "A preference for near pods: PreferSameZone (also called PreferClose) or PreferSameNode."
    ),
    "core.v1.ServicePort": "One port of a Service.",
    "core.v1.ServicePort.name": "Name of the port, unique in the Service; it becomes part of SRV records.",
    "core.v1.ServicePort.port": "The number on which the Service answers.",
    "core.v1.ServicePort.targetPort": "Where the pods listen: a number or a container port's name. Default: port.",
    "core.v1.ServicePort.protocol": "TCP (the default), UDP or SCTP.",
    "core.v1.ServicePort.nodePort": "The port on every node, for NodePort and LoadBalancer; chosen when empty.",
    "core.v1.ServicePort.appProtocol": "A hint at the application's protocol, such as http.",
    "core.v1.ServiceStatus": "The current state of a Service.",
    "core.v1.ServiceStatus.loadBalancer": "The addresses a load balancer gave it; empty while pending.",
    "core.v1.LoadBalancerStatus.ingress": "Addresses or names at which the Service is reachable from outside.",
    "core.v1.LoadBalancerIngress.ip": "Outside address of the Service.",
    "core.v1.LoadBalancerIngress.hostname": "Outside name of the Service.",
    "core.v1.LoadBalancerIngress.ipMode": "VIP: packets arrive with this address; Proxy: they arrive with the node's.",
    "core.v1.ClientIPConfig.timeoutSeconds": "How long the affinity lasts, 1 to 86400 seconds; 10800 by default.",
}

_ENDPOINTS = {
    "discovery.v1.EndpointSlice": "A part of a Service's endpoints: addresses of one family that share their ports.",
    "discovery.v1.EndpointSlice.addressType": "The kind of every address in the slice. It cannot be changed.",
    "discovery.v1.EndpointSlice.endpoints": "The endpoints, at most 1000.",
    "discovery.v1.EndpointSlice.ports": "The ports every endpoint of the slice listens on.",
    "discovery.v1.Endpoint": "One backend of a Service, usually a pod.",
    "discovery.v1.Endpoint.addresses": "Addresses of this endpoint; consumers use the first.",
    "discovery.v1.Endpoint.conditions": "Whether the endpoint should get traffic.",
    "discovery.v1.Endpoint.hostname": "Gives the endpoint a name of its own below the Service's.",
    "discovery.v1.Endpoint.nodeName": "The node the endpoint runs on.",
    "discovery.v1.Endpoint.targetRef": "The object behind the endpoint, usually its pod.",
    "discovery.v1.Endpoint.zone": "The zone the endpoint runs in.",
    "discovery.v1.Endpoint.hints": "The zones or nodes whose clients should prefer this endpoint.",
    "discovery.v1.EndpointConditions.ready": "Accepts new traffic. Unknown counts as true.",
    "discovery.v1.EndpointConditions.serving": "Passes its readiness checks, terminating or not.",
    "discovery.v1.EndpointConditions.terminating": "Has been asked to end.",
    "discovery.v1.EndpointPort.name": "The Service port's name this port belongs to.",
    "discovery.v1.EndpointPort.port": "The number the endpoints listen on.",
    "core.v1.Endpoints": "The endpoints of a Service in the older form; EndpointSlices carry more and scale further.",
    "core.v1.Endpoints.subsets": "Groups of addresses that share their ports.",
    "core.v1.EndpointSubset.addresses": "Addresses that are ready.",
    "core.v1.EndpointSubset.notReadyAddresses": "Addresses that are not ready yet, or no longer.",
}

_PODS = {
    "core.v1.Pod": "Containers that run together on one node and share one address.",
    "core.v1.Pod.spec": "What should run, and how.",
    "core.v1.Pod.status": "What the node reports of it.",
    "core.v1.PodSpec.containers": "The containers of the pod; at least one.",
    "core.v1.PodSpec.initContainers": "Containers that run to completion, one by one, before the others start.",
    "core.v1.PodSpec.volumes": "Volumes that containers can mount.",
    "core.v1.PodSpec.nodeName": "The node the pod runs on; set by the scheduler when empty.",
    "core.v1.PodSpec.nodeSelector": "Labels a node must all have for the pod to be scheduled there.",
    "core.v1.PodSpec.restartPolicy": "When containers that end are started again; Always by default.",
    "core.v1.PodSpec.terminationGracePeriodSeconds": "Seconds between SIGTERM and SIGKILL; 30 by default.",
    "core.v1.PodSpec.dnsPolicy": "Which resolver the pod uses; ClusterFirst (the default) is the cluster's DNS.",
    "core.v1.PodSpec.hostname": "The pod's host name; its object's name by default.",
    "core.v1.PodSpec.subdomain": "With a headless Service of this name, the pod gets a DNS name below it.",
    "core.v1.PodSpec.serviceAccountName": "The identity the pod's processes have towards the API.",
    "core.v1.PodSpec.readinessGates": "Further conditions that must be true for the pod to be ready.",
    "core.v1.Container.name": "Name of the container, unique in the pod.",
    "core.v1.Container.image": "What to run; kubesvc/echo, kubesvc/host and kubesvc/dns need no registry.",
    "core.v1.Container.command": "Replaces the image's entry point. Not run in a shell.",
    "core.v1.Container.args": "Arguments of the entry point.",
    "core.v1.Container.env": "Environment variables.",
    "core.v1.Container.ports": "Ports the container listens on; a name here can be a Service's targetPort.",
    "core.v1.Container.readinessProbe": "While it fails, the pod gets no traffic from Services.",
    "core.v1.Container.livenessProbe": "When it fails, the container is restarted.",
    "core.v1.Container.startupProbe": "Until it succeeds once, the other probes wait.",
    "core.v1.ContainerPort.containerPort": "The number the container listens on.",
    "core.v1.ContainerPort.name": "A name for the port, unique in the pod.",
    "core.v1.Probe.initialDelaySeconds": "Seconds after the start before the first probe.",
    "core.v1.Probe.periodSeconds": "Seconds between probes; 10 by default.",
    "core.v1.Probe.timeoutSeconds": "Seconds after which a probe has failed; 1 by default.",
    "core.v1.Probe.failureThreshold": "Failures in a row that count; 3 by default.",
    "core.v1.Probe.successThreshold": "Successes in a row that count; 1 by default.",
    "core.v1.PodStatus.phase": "Where the pod is in its life, in one word.",
    "core.v1.PodStatus.podIP": "The pod's address.",
    "core.v1.PodStatus.containerStatuses": "The state of each container.",
    "core.v1.PodTemplateSpec": "The pods to be made: their metadata and their spec.",
}

_REST = {
    "apps.v1.Deployment": "Keeps a number of equal pods running, and replaces them step by step when they change.",
    "apps.v1.DeploymentSpec.replicas": "How many pods there should be; 1 by default.",
    "apps.v1.DeploymentSpec.selector": "The pods that belong to it; must match the template's labels. Immutable.",
    "apps.v1.DeploymentSpec.template": "The pods to be made.",
    "apps.v1.DeploymentSpec.strategy": "How pods are replaced by those of a new template.",
    "apps.v1.DeploymentSpec.minReadySeconds": "Seconds a new pod must stay ready to count as available.",
    "apps.v1.ReplicaSet": "Keeps a number of equal pods running; usually made by a Deployment.",
    "apps.v1.ReplicaSetSpec.replicas": "How many pods there should be; 1 by default.",
    "core.v1.Namespace": "A scope for names.",
    "core.v1.Node": "A machine that runs pods.",
    "core.v1.ConfigMap": "Settings that pods read as variables or files.",
    "core.v1.Secret": "Confidential settings that pods read as variables or files; values are base64.",
    "core.v1.ServiceAccount": "An identity for processes in pods.",
    "core.v1.Event": "Something that happened to an object, for people to read.",
    "coordination.v1.Lease": "A claim that lapses unless it is renewed.",
    "networking.v1.ServiceCIDR": "A range from which Services get their cluster addresses.",
    "networking.v1.ServiceCIDRSpec.cidrs": "One range, or one per IP family.",
    "networking.v1.IPAddress": "One address in use, and what uses it; its name is the address.",
    "networking.v1.IPAddressSpec.parentRef": "The object that uses the address. It cannot be changed.",
}

DESCRIPTIONS: dict[str, str] = _COMMON | _META | _SERVICE | _ENDPOINTS | _PODS | _REST
