from django.apps import AppConfig


class FirmwareConfig(AppConfig):
    name = "firmware"
    verbose_name = "Robots"

    def ready(self) -> None:
        from auditlog.registry import auditlog
        from django.db import transaction
        from django.db.models.signals import post_save

        from accounts import people, permissions, reports
        from firmware import control, drift_report, forgetting
        from firmware.models import Robot, Site
        from firmware.stop_targets import targets

        def changed(**_: object) -> None:
            transaction.on_commit(targets.look_again)

        post_save.connect(changed, sender=Robot, weak=False, dispatch_uid="stop-targets")

        auditlog.register(Robot, exclude_fields=["sealed_credentials"])
        auditlog.register(Site)
        permissions.when_changed.append(control.end_void)
        people.also_forget.append(forgetting.forget)
        reports.reviewed.append(drift_report.robots)
        reports.REPORTS["drift"] = drift_report.REPORT
