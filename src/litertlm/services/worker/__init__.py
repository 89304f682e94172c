"""Work in processes of its own: native code may crash there, and it runs beside other work."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.worker.limits import TemplateLimits as TemplateLimits
    from litertlm.services.worker.template_process import TemplateProcess as TemplateProcess
    from litertlm.services.worker.worker import Worker as Worker
    from litertlm.services.worker.worker import WorkerFailed as WorkerFailed
    from litertlm.services.worker.worker import absolute as absolute

EXPORTS = {
    "limits": ("TemplateLimits",),
    "template_process": ("TemplateProcess",),
    "worker": (
        "Worker",
        "WorkerFailed",
        "absolute",
    ),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
