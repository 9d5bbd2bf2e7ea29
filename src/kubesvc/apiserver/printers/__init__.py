"""Server-side tables: the columns people see in `kubectl get` (meta.k8s.io/v1 Table)."""

from kubesvc.apiserver.printers.age import human_duration
from kubesvc.apiserver.printers.table import table, table_columns

__all__ = ["human_duration", "table", "table_columns"]
