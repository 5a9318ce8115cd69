"""Small XML helpers: a reader that refuses DTDs and over-long input, and look-ups by local name."""

import base64
import binascii
import re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

MAX_XML = 4 * 1024 * 1024
MAX_DEPTH = 64

__all__ = ["ET", "XmlError", "escape", "quoteattr", "parse", "local", "namespace", "child", "children",
           "path", "text", "attribute", "decode_base64"]


class XmlError(ValueError):
    """Bytes that are not an XML document we are willing to read."""


class _Builder(ET.TreeBuilder):
    """A tree builder that bounds the depth and refuses a DOCTYPE (no entity can then be declared)."""

    def __init__(self):
        super().__init__()
        self.depth = 0

    def start(self, tag, attrs):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise XmlError("deeper than %d elements" % MAX_DEPTH)
        return super().start(tag, attrs)

    def end(self, tag):
        self.depth -= 1
        return super().end(tag)

    def doctype(self, name, pubid, system):
        raise XmlError("a DOCTYPE is not allowed")


def parse(data: bytes) -> ET.Element:
    """Parse bytes to an element; XmlError when they are no (acceptable) XML.

    White space before the document is dropped: some servers send blank lines first (W 5.1).
    """
    if len(data) > MAX_XML:
        raise XmlError("longer than %d bytes" % MAX_XML)
    parser = ET.XMLParser(target=_Builder())
    try:
        parser.feed(data.lstrip(b" \t\r\n"))
        return parser.close()
    except ET.ParseError as error:
        raise XmlError(str(error)) from error
    except (LookupError, ValueError) as error:  # an encoding that expat does not know
        raise XmlError(str(error)) from error


def local(element: ET.Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace(element: ET.Element) -> str:
    """The element's namespace, or the empty string."""
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def children(element, name: str) -> list:
    """All children with this local name."""
    return [] if element is None else [c for c in element if local(c) == name]


def child(element, name: str):
    """The first child with this local name, or None."""
    found = children(element, name)
    return found[0] if found else None


def path(element, *names: str):
    """Walk down by local names; None when a step is missing."""
    for name in names:
        element = child(element, name)
        if element is None:
            return None
    return element


def text(element, *names: str):
    """The stripped text at the path, "" when it is empty, None when the element is missing."""
    element = path(element, *names)
    return None if element is None else (element.text or "").strip()


def attribute(element, name: str):
    """An attribute by local name: servers write it bare or with a prefix (W 2)."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return None


def decode_base64(value: str) -> bytes:
    """Strict base64 after dropping white space (some wrap at 64 columns); the URL-safe alphabet is read too.

    W 2 (Fleet's device uses the URL-safe alphabet: decode both) and 4 (wrapped base64).
    """
    packed = re.sub(r"\s+", "", value)
    if not packed:
        raise ValueError("empty base64")
    if "-" in packed or "_" in packed:
        packed = packed.replace("-", "+").replace("_", "/")
        packed += "=" * (-len(packed) % 4)
    try:
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError("bad base64: %s" % error) from error
