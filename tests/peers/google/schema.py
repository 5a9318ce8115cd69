"""Answers held against the discovery document that google-api-python-client ships, and requests made from it."""

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

# Fields of the document's schemas that were seen in an answer, or in a notification.
met = set()


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
    met.update((schema.get("id"), field) for field in value)
    for field, inner in value.items():
        assert field in properties or "additionalProperties" in schema, f"{where}.{field}: no such field"
        of(properties.get(field, schema.get("additionalProperties")), inner, f"{where}.{field}", schemas)


EXAMPLES = {
    "int64": "9007199254740993",
    "int32": 7,
    "google-datetime": "2026-01-05T08:00:00.123456Z",
    "google-duration": "3.500s",
    "google-fieldmask": "packageName",
    "byte": "Kw==",
    "float": 1.5,
    "double": 0.1,
    "string": "t\u00e4\"x\u20ac",
    "boolean": True,
    "any": "anything",
}
# The longest enum has 32 values beside its first.
ROUNDS = 32


def filled(name, turn):
    """A resource with every field that its schema has; enums have the next of their values in each turn."""
    return {field: example(of, turn) for field, of in DOCUMENT["schemas"][name]["properties"].items()}


def example(schema, turn):
    if "$ref" in schema:
        return filled(schema["$ref"], turn)
    if "enum" in schema:
        # The first says that there is none, and is not sent.
        values = schema["enum"][1:]
        return values[turn % len(values)]
    kind = schema["type"]
    if kind == "array":
        return [example(schema["items"], turn)]
    if kind == "object":
        return {"key": example(schema["additionalProperties"], turn)}
    return EXAMPLES[schema.get("format", kind)]


KINDS = {"boolean": "bool", "google-datetime": "timestamp", "google-duration": "duration", "google-fieldmask": "mask", "byte": "bytes"}


def table():
    """The schemas as the emulator keeps them (`schemas.txt`): a line each, and below it one for each of its fields."""
    for name, schema in sorted(DOCUMENT["schemas"].items()):
        yield name
        for field, of in sorted(schema.get("properties", {}).items()):
            yield f"  {field} {row(of)}{' read-only' if of.get('readOnly') else ''}"


def row(schema):
    """A type: `[..]` is a list of it, `{..}` a map to it; enums are all their values."""
    if "$ref" in schema:
        return schema["$ref"]
    kind = schema["type"]
    if kind == "array":
        return f"[{row(schema['items'])}]"
    if kind == "object":
        return f"{{{row(schema['additionalProperties'])}}}"
    if "enum" in schema:
        return "|".join(schema["enum"])
    kind = schema.get("format", kind)
    return KINDS.get(kind, kind)


TOLD = ("id", "type", "format", "enum", "$ref", "readOnly")


def bare(schema):
    """A schema without what is for people."""
    told = {key: schema[key] for key in TOLD if key in schema}
    for key in ("items", "additionalProperties"):
        if key in schema:
            told[key] = bare(schema[key])
    if "properties" in schema:
        told["properties"] = {name: bare(of) for name, of in schema["properties"].items()}
    return told


if __name__ == "__main__":
    print("\n".join(table()))
