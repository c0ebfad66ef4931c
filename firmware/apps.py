from django.apps import AppConfig


class FirmwareConfig(AppConfig):
    name = "firmware"
    verbose_name = "Robots"

    def ready(self) -> None:
        from auditlog.registry import auditlog
        from django.db import transaction
        from django.db.models.signals import post_save

        from accounts import people, reports
        from firmware import drift_report, forgetting
        from firmware.models import Robot, Site
        from firmware.stop_targets import targets

        def changed(**_: object) -> None:
            transaction.on_commit(targets.look_again)

        post_save.connect(changed, sender=Robot, weak=False, dispatch_uid="stop-targets")

        auditlog.register(Robot, exclude_fields=["sealed_credentials"])
        auditlog.register(Site)
        people.also_forget.append(forgetting.forget)
        reports.reviewed.append(drift_report.robots)
        reports.REPORTS["drift"] = drift_report.REPORT
