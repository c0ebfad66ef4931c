from django.apps import AppConfig


class FirmwareConfig(AppConfig):
    name = "firmware"
    verbose_name = "Robots"

    def ready(self) -> None:
        from auditlog.registry import auditlog

        from firmware.models import Robot, Site

        auditlog.register(Robot, exclude_fields=["sealed_credentials"])
        auditlog.register(Site)
