"""What the Engine API's own description says about answers, and whether an answer keeps to it.

The part of OpenAPI 2 that the description uses: types, properties, required ones, lists, maps, enumerations, `allOf` and references.
An unknown member counts as a fault, since clients would not find what is spelled otherwise; ours are listed by the test.
"""

import json
import re

from engine import REPOSITORY


class Description:
    def __init__(self, version):
        document = json.loads((REPOSITORY / f"Tests/Fixtures/engine-api/v{version}.json").read_text())
        self.definitions = document["definitions"]
        self.operations = []
        for path, methods in document["paths"].items():
            # Names may hold slashes; a path with a word in the place of a name comes first.
            pattern = "".join(
                "(.+)" if part == "{name}" else "([^/]+)" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path))
            for method, answers in methods.items():
                self.operations.append((path.count("{"), re.compile(pattern + "$"), method, path, answers))
        self.operations.sort(key=lambda operation: operation[0])

    def find(self, method, path):
        """The path as it is described, and its answers by status."""
        for _, pattern, described, name, answers in self.operations:
            if described == method and pattern.match(path): return name, answers
        return None, None

    def faults(self, schema, value, place, known):
        """Sentences; `known` are members of ours, as `Definition.Member`, which the description does not have."""
        if schema is None: return []
        return list(self._faults(schema, value, place, known, ""))

    def _faults(self, schema, value, place, known, name):
        if "$ref" in schema:
            name = schema["$ref"].split("/")[-1]
            yield from self._faults(self.definitions[name], value, place, known, name)
            return
        if value is None:
            # Go's lists and maps are null when they are empty, which the description mostly does not say.
            if not schema.get("x-nullable") and schema.get("type") not in ("array", "object", None): yield f"{place} is null"
            return
        if "allOf" in schema:
            schema, name = self.merged(schema, name)
        kinds = {"string": str, "boolean": bool, "array": list, "object": dict, "integer": int, "number": (int, float)}
        kind = schema.get("type") or ("object" if "properties" in schema else None)
        if kind and (not isinstance(value, kinds[kind]) or kind != "boolean" and isinstance(value, bool)):
            yield f"{place} is {value!r}, not of type {kind}"
            return
        if "enum" in schema and value not in schema["enum"]: yield f"{place} is {value!r}, none of {schema['enum']}"
        if kind == "array":
            for index, element in enumerate(value): yield from self._faults(schema.get("items", {}), element, f"{place}[{index}]", known, name)
        elif kind == "object":
            yield from self._members(schema, value, place, known, name)

    def _members(self, schema, value, place, known, name):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for member in schema.get("required", []):
            if member not in value: yield f"{place}.{member} is missing"
        for member, inner in value.items():
            if member in properties:
                yield from self._faults(properties[member], inner, f"{place}.{member}", known, f"{name}.{member}")
            elif isinstance(others, dict):
                yield from self._faults(others, inner, f"{place}.{member}", known, name)
            elif properties and f"{name}.{member}" not in known:
                yield f"{name}.{member} is not described (in {place})"

    def merged(self, schema, name):
        """The parts of `allOf` as one."""
        merged = {"type": "object", "properties": {}, "required": []}
        for part in schema["allOf"]:
            if "$ref" in part:
                name = part["$ref"].split("/")[-1] if not name else name
                part = self.definitions[part["$ref"].split("/")[-1]]
            if "allOf" in part: part, _ = self.merged(part, name)
            if part.get("type", "object") != "object": return part, name
            merged["properties"].update(part.get("properties", {}))
            merged["required"] += part.get("required", [])
            if "additionalProperties" in part: merged["additionalProperties"] = part["additionalProperties"]
        return merged, name
