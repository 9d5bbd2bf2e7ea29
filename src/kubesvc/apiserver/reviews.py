"""Resources that answer a question and store nothing: who am I, may I, whose token is this."""

from collections.abc import Mapping
from typing import Any

from kubesvc.apiserver.answers import Reply, of_document
from kubesvc.apiserver.authentication import Authenticator
from kubesvc.apiserver.authorization import Attributes, is_allowed, is_trusted
from kubesvc.apiserver.body import posted
from kubesvc.apiserver.documents import Document
from kubesvc.apiserver.request import Call, User
from kubesvc.apiserver.tokens import ISSUER, TokenRefused

_AUTHN, _AUTHZ = "authentication.k8s.io", "authorization.k8s.io"
_READABLE = {"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]}
_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


class Reviews:
    """`by_resource` maps the group resource of each review to the function that answers it."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self.by_resource = {
            f"selfsubjectreviews.{_AUTHN}": self.who_am_i,
            f"tokenreviews.{_AUTHN}": self.whose_token,
            f"selfsubjectaccessreviews.{_AUTHZ}": self.may_i,
            f"subjectaccessreviews.{_AUTHZ}": self.may_they,
            f"selfsubjectrulesreviews.{_AUTHZ}": self.what_may_i,
        }

    async def who_am_i(self, call: Call) -> Reply:
        posted(call, "authentication.v1.SelfSubjectReview")
        return _answer(_AUTHN, "SelfSubjectReview", {}, {"userInfo": _user_info(call.user)})

    async def whose_token(self, call: Call) -> Reply:
        spec = posted(call, "authentication.v1.TokenReview").get("spec") or {}
        audiences = spec.get("audiences") or [ISSUER]
        try:
            user = self._authenticator.identify(spec.get("token", ""), audiences)
        except TokenRefused as err:
            return _answer(_AUTHN, "TokenReview", spec, {"error": str(err), "user": {}})
        status = {"authenticated": True, "user": _user_info(user), "audiences": audiences}
        return _answer(_AUTHN, "TokenReview", spec, status)

    async def may_i(self, call: Call) -> Reply:
        spec = posted(call, "authorization.v1.SelfSubjectAccessReview").get("spec") or {}
        return _answer(_AUTHZ, "SelfSubjectAccessReview", spec, _decision(call.user, spec))

    async def may_they(self, call: Call) -> Reply:
        spec = posted(call, "authorization.v1.SubjectAccessReview").get("spec") or {}
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
        return _answer(_AUTHZ, "SubjectAccessReview", spec, _decision(user, spec))

    async def what_may_i(self, call: Call) -> Reply:
        spec = posted(call, "authorization.v1.SelfSubjectRulesReview").get("spec") or {}
        trusted = is_trusted(call.user)
        urls = {"verbs": ["*" if trusted else "get"], "nonResourceURLs": ["*"]}
        status = {
            "resourceRules": [_EVERYTHING if trusted else _READABLE],
            "nonResourceRules": [urls],
            "incomplete": False,
        }
        return _answer(_AUTHZ, "SelfSubjectRulesReview", spec, status)


def _decision(user: User, spec: Mapping[str, Any]) -> Document:
    allowed = is_allowed(user, _attributes(spec))
    return {"allowed": allowed} if allowed else {"allowed": False, "reason": "no rule of this server allows it"}


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    sent = spec.get("resourceAttributes") or {}
    fields = ("group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(sent.get("verb", ""), **{field: sent.get(field, "") for field in fields})


def _user_info(user: User) -> Document:
    info: Document = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info


def _answer(group: str, kind: str, spec: Mapping[str, Any], status: Document) -> Reply:
    document: Document = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {}}
    if spec:
        document["spec"] = spec
    return of_document({**document, "status": status}, 201)
