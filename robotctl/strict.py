"""Bodies that are taken at their word: a field that nobody knows is refused, not passed over. A typing error in `until` would
otherwise be a grant without end."""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import exceptions, serializers

OF_FORMS = {"csrfmiddlewaretoken"}


class StrictSerializer(serializers.Serializer[Any]):
    """The base of everything that comes in over the API."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) - OF_FORMS if isinstance(data, Mapping) else set()
        errors: dict[str, Any] = {str(name): ["There is no such field here."] for name in sorted(unknown, key=str)}
        try:
            value = super().to_internal_value(data)
        except exceptions.ValidationError as error:
            if isinstance(error.detail, dict):
                error.detail.update(errors)
            raise
        if errors:
            raise exceptions.ValidationError(errors)
        return value


def once(query: QueryDict) -> dict[str, str]:
    """The parameters of an address. Raises ValidationError for one that is there twice: only one of them would count."""
    twice = [name for name, values in query.lists() if len(values) > 1]
    if twice:
        raise exceptions.ValidationError(dict.fromkeys(twice, "This parameter is given twice."))
    return {str(name): str(value) for name, value in query.items()}
