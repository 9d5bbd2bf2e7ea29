"""Rows of ConfigMaps, Secrets and ServiceAccounts."""

from datetime import datetime

from kubesvc.apiserver.printers.columns import (
    AGE,
    NAME,
    Cells,
    Column,
    Document,
    Printer,
    age_of,
    name_of,
    part,
)


def _config_map_cells(config_map: Document, now: datetime) -> Cells:
    entries = len(part(config_map, "data")) + len(part(config_map, "binaryData"))
    return [name_of(config_map), entries, age_of(config_map, now)]


CONFIGMAPS = Printer((NAME, Column("Data", "How many entries there are."), AGE), _config_map_cells)


def _secret_cells(secret: Document, now: datetime) -> Cells:
    return [name_of(secret), secret.get("type") or "", len(part(secret, "data")), age_of(secret, now)]


SECRETS = Printer(
    (NAME, Column("Type", "What the Secret is for."), Column("Data", "How many entries there are."), AGE),
    _secret_cells,
)


def _service_account_cells(account: Document, now: datetime) -> Cells:
    return [name_of(account), age_of(account, now)]


# Secrets are no longer counted: since 1.24 tokens are requested, not kept in them.
SERVICEACCOUNTS = Printer((NAME, AGE), _service_account_cells)
