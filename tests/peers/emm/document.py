"""What the discovery document that google-api-python-client ships allows: by it every answer and notification is judged."""

import base64
import binascii
import json
import re
from importlib import resources

FORMATS = {
    "int64": re.compile(r"-?(0|[1-9]\d*)"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z"),
    "google-duration": re.compile(r"-?\d+(\.\d{3}|\.\d{6}|\.\d{9})?s"),
    "google-fieldmask": re.compile(r"[A-Za-z0-9_.,]+"),
}
KINDS = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}


class Document:
    def __init__(self, document):
        self.schemas = document["schemas"]
        self.methods = dict(methods(document))

    def wrong(self, name, value):
        """A sentence for each thing in the value that the schema of this name does not allow."""
        return list(self._of({"$ref": name}, value, name))

    def wrong_answer(self, method, value):
        return self.wrong(self.methods[method]["response"]["$ref"], value)

    def wrong_any(self, name, value):
        """The same for a message within an Any, which says its type itself."""
        if not isinstance(value, dict):
            return [f"{name} is no object: {short(value)}"]
        kind = str(value.get("@type", ""))
        found = [] if kind.rpartition(".")[2] == name else [f"the @type of {name} is {kind!r}"]
        return found + self.wrong(name, {field: inner for field, inner in value.items() if field != "@type"})

    def _of(self, schema, value, where):
        schema = self.schemas[schema["$ref"]] if "$ref" in schema else schema
        kind = schema["type"]
        if value is None:
            yield f"{where} is null, which is to be absent"
        elif kind == "any":
            return
        elif not isinstance(value, KINDS[kind]) or isinstance(value, bool) != (kind == "boolean"):
            as_what = f"{schema['format']} as {kind}" if "format" in schema else kind
            yield f"{where} is no {as_what}: {short(value)}"
        elif kind == "array":
            if not value:
                yield f"{where} is an empty list, which is to be absent"
            for index, element in enumerate(value):
                yield from self._of(schema["items"], element, f"{where}[{index}]")
        elif kind == "object":
            yield from self._fields(schema, value, where)
        else:
            yield from plain(schema, value, where)

    def _fields(self, schema, value, where):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for field, inner in value.items():
            if field in known or others is not None:
                yield from self._of(known.get(field, others), inner, f"{where}.{field}")
            else:
                yield f"{where} has no field {field!r} in the document"


def plain(schema, value, where):
    """Text and numbers."""
    form = schema.get("format")
    if value == "":
        yield f"{where} is an empty text, which is to be absent"
    elif form in FORMATS and not FORMATS[form].fullmatch(value):
        yield f"{where} is no {form}: {short(value)}"
    elif form == "int64" and not -(2**63) <= int(value) < 2**63 or form == "int32" and not -(2**31) <= value < 2**31:
        yield f"{where} is beyond {form}: {value}"
    elif form == "byte" and not is_base64(value):
        yield f"{where} is no base64: {short(value)}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of its enum: {short(value)}"
    elif "enum" in schema and value.endswith("_UNSPECIFIED"):
        yield f"{where} is {value}, which is to be absent"


def is_base64(value):
    try:
        return bool(base64.b64decode(value, altchars=b"-_" if set(value) & {"-", "_"} else None, validate=True))
    except (binascii.Error, ValueError):
        return False


def short(value):
    return f"{value!r:.80}"


def methods(resource):
    for method in resource.get("methods", {}).values():
        yield method["id"], method
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


def shipped():
    text = resources.files("googleapiclient.discovery_cache.documents").joinpath("androidmanagement.v1.json").read_text()
    return Document(json.loads(text))


def said(value):
    """What Google answers of what it was told: JSON of protocol buffers leaves out what is as if it had not been said. A message
    is there also where nothing is in it."""
    if isinstance(value, dict):
        return {name: said(of) for name, of in value.items() if of is not None and of not in (False, 0, "", [])}
    return [said(of) for of in value] if isinstance(value, list) else value
