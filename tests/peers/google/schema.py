"""Answers held against the discovery document that google-api-python-client ships."""

import json
import re
from importlib import resources

DOCUMENT = json.loads(
    resources.files("googleapiclient.discovery_cache.documents").joinpath("androidmanagement.v1.json").read_text()
)

FORMATS = {
    "int64": re.compile(r"-?\d+"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z"),
    "google-duration": re.compile(r"\d+(\.\d{3}|\.\d{6}|\.\d{9})?s"),
    "google-fieldmask": re.compile(r"[A-Za-z0-9.,*]*"),
}
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


def methods(resource=DOCUMENT):
    """Every method of the document, by its id."""
    for method in resource.get("methods", {}).values():
        yield method["id"], method
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


METHODS = dict(methods())


def check(name, value, schemas=DOCUMENT["schemas"]):
    """Fails if a value is not what the schema of this name allows."""
    object_of(schemas[name], value, name, schemas)


def of(schema, value, where, schemas):
    if "$ref" in schema:
        return object_of(schemas[schema["$ref"]], value, where, schemas)
    kind = schema["type"]
    if kind == "array":
        assert isinstance(value, list) and value, f"{where}: {value!r} is no list, or an empty one, which has to be absent"
        for index, element in enumerate(value):
            of(schema["items"], element, f"{where}[{index}]", schemas)
    elif kind == "object":
        object_of(schema, value, where, schemas)
    elif kind != "any":
        is_bool = isinstance(value, bool)
        assert isinstance(value, TYPES[kind]) and is_bool == (kind == "boolean"), f"{where}: {value!r} is no {kind}"
        if schema.get("format") in FORMATS:
            assert FORMATS[schema["format"]].fullmatch(value), f"{where}: {value!r} is no {schema['format']}"
        if "enum" in schema:
            assert value in schema["enum"], f"{where}: {value!r} is not one of {schema['enum']}"


def object_of(schema, value, where, schemas):
    assert isinstance(value, dict), f"{where}: {value!r} is no object"
    properties = schema.get("properties", {})
    for field, inner in value.items():
        assert field in properties or "additionalProperties" in schema, f"{where}.{field}: no such field"
        of(properties.get(field, schema.get("additionalProperties")), inner, f"{where}.{field}", schemas)
