from django.db import migrations

from accounts import journal_guard


def guard(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        journal_guard.install_for_origins(cursor, schema_editor.connection.vendor)


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0009_unlock_guesses"),
    ]

    operations = [
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
