from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_journal'),
    ]

    operations = [
        migrations.AddField(
            model_name='journalarchive',
            name='signature',
            field=models.CharField(default='', max_length=88),
            preserve_default=False,
        ),
    ]
