"""Checks a JSON request body against botocore's service model, recursively: required and unknown members,
types, lengths, ranges, patterns and enumerations. botocore's own validator leaves out maxima, patterns and
enumerations, which is what a server is strictest about."""

import base64
import binascii
import json
import re

from botocore.loaders import Loader
from botocore.model import ServiceModel

# What the model of December 2022 (Debian 12) does not know yet.
OVERLAY = {"kinesis": {"Data": {"max": 10 * 1024 * 1024}}}
# Members that came later, with the type they must have.
LATER_MEMBERS = {"iotsitewise": {("BatchPutAssetPropertyValueRequest", "enablePartialEntryProcessing"): bool,
                                 ("Variant", "nullValue"): dict}}
SCALARS = {"string": str, "integer": int, "long": int, "float": (int, float), "double": (int, float),
           "boolean": bool, "timestamp": (int, float)}


def load(service):
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def no_duplicates(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def parse(body):
    return json.loads(body.decode("utf-8"), object_pairs_hook=no_duplicates)


class Checker:
    def __init__(self, service):
        self.model = load(service)
        self.overlay = OVERLAY.get(service, {})
        self.later_members = LATER_MEMBERS.get(service, {})
        self.problems = []

    def check(self, operation, document):
        """Problems as (path, text), path in the service's own notation: records.3.member.data"""
        self.problems = []
        if operation not in self.model.operation_names:
            return [("", f"there is no operation {operation}")]
        self.walk(self.model.operation_model(operation).input_shape, document, [])
        return self.problems

    def note(self, path, text):
        self.problems.append((".".join(path), text))

    def walk(self, shape, value, path):
        kind = shape.type_name
        if kind == "structure":
            self.walk_structure(shape, value, path)
        elif kind == "list":
            if not isinstance(value, list):
                return self.note(path, "is not a list")
            self.check_size(shape, len(value), path)
            for number, item in enumerate(value, 1):
                self.walk(shape.member, item, [*path, str(number), "member"])
        elif kind == "map":
            if not isinstance(value, dict):
                return self.note(path, "is not a map")
            self.check_size(shape, len(value), path)
            for name, item in value.items():
                self.walk(shape.key, name, [*path, name, "key"])
                self.walk(shape.value, item, [*path, name, "value"])
        elif kind == "blob":
            self.walk_blob(shape, value, path)
        else:
            self.walk_scalar(shape, value, path)

    def walk_structure(self, shape, value, path):
        if not isinstance(value, dict):
            return self.note(path, "is not a structure")
        for name in shape.required_members:
            if name not in value:
                self.note([*path, first_lower(name)], "is required and missing")
        for name, item in value.items():
            if (shape.name, name) in self.later_members:
                if not isinstance(item, self.later_members[shape.name, name]):
                    self.note([*path, name], "has another type")
            elif name not in shape.members:
                self.note([*path, name], "is unknown to the service")
            else:
                self.walk(shape.members[name], item, [*path, first_lower(name)])

    def walk_blob(self, shape, value, path):
        if not isinstance(value, str):
            return self.note(path, "is not base64 text")
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            return self.note(path, f"is not strict base64: {error}")
        if base64.b64encode(raw).decode() != value:
            self.note(path, "is not canonical base64")
        self.check_size(shape, len(raw), path)

    def walk_scalar(self, shape, value, path):
        wanted = SCALARS[shape.type_name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            return self.note(path, f"is not a {shape.type_name}")
        if shape.type_name == "string":
            self.check_size(shape, len(value), path)
            pattern = shape.metadata.get("pattern")
            if pattern and not re.fullmatch(pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]"), value):
                self.note(path, f"does not match {pattern}")
            if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
                self.note(path, "is not one of the allowed words")
        elif wanted is not bool:
            self.check_size(shape, value, path)

    def check_size(self, shape, size, path):
        limits = {**shape.metadata, **self.overlay.get(shape.name, {})}
        if "min" in limits and size < limits["min"]:
            self.note(path, f"has size {size}, at least {limits['min']} are required")
        if "max" in limits and size > limits["max"]:
            self.note(path, f"has size {size}, at most {limits['max']} are allowed")


def first_lower(name):
    return name[:1].lower() + name[1:]
