"""As much of JSON Schema as the schemas of the OCI runtime specification use."""

import json
import re
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "Fixtures/oci-runtime-spec"
KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def load(name):
    for folder in (FIXTURES, Path(__file__).resolve().parent / "oci-runtime-spec"):
        if (folder / name).exists():
            return json.loads((folder / name).read_text())
    raise FileNotFoundError(name)


def validate(value, name):
    """The complaints about a value, none when the schema of that file accepts it."""
    schema = load(name)
    return list(complaints(value, schema, (name, schema), "$"))


def is_kind(value, kind):
    if kind in ("integer", "number"):
        return isinstance(value, (int,) if kind == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


def resolve(reference, document):
    file, _, pointer = reference.partition("#")
    name, root = (file, load(file)) if file else document
    target = root
    for part in filter(None, pointer.split("/")):
        target = target[part]
    return target, (name, root)


def complaints(value, schema, document, place):
    if "$ref" in schema:
        target, document_of_target = resolve(schema["$ref"], document)
        yield from complaints(value, target, document_of_target, place)
    kinds = schema.get("type")
    if kinds and not any(is_kind(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{place} is no {kinds}: {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is not allowed: {value!r}"
    if "const" in schema and value != schema["const"]:
        yield f"{place} is not {schema['const']!r}"
    for part in schema.get("allOf", []):
        yield from complaints(value, part, document, place)
    for kind in ("anyOf", "oneOf"):
        matching = [part for part in schema.get(kind, []) if not list(complaints(value, part, document, place))]
        if kind in schema and (not matching or (kind == "oneOf" and len(matching) > 1)):
            yield f"{place} fits {len(matching)} of {kind}"
    if "not" in schema and not list(complaints(value, schema["not"], document, place)):
        yield f"{place} must not fit"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place} does not match {schema['pattern']}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{place} is out of range: {value}"
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from complaints(element, schema.get("items", {}), document, f"{place}[{index}]")
        if len(value) < schema.get("minItems", 0):
            yield f"{place} has too few elements"
    if isinstance(value, dict):
        yield from object_complaints(value, schema, document, place)


def object_complaints(value, schema, document, place):
    for name in schema.get("required", []):
        if name not in value:
            yield f"{place} lacks {name}"
    for name, member in value.items():
        known = schema.get("properties", {}).get(name)
        patterns = [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        for part in ([known] if known else []) + patterns:
            yield from complaints(member, part, document, f"{place}.{name}")
        if not known and not patterns:
            other = schema.get("additionalProperties", True)
            if other is False:
                yield f"{place} must not have {name}"
            elif isinstance(other, dict):
                yield from complaints(member, other, document, f"{place}.{name}")
