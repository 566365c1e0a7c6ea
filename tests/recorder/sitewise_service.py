"""AWS IoT SiteWise: BatchPutAssetPropertyValue, with the rules that no model states."""

import base64
import json

from service import Service

ENTRIES_MAX = 10
VALUES_MAX = 10
OLDEST_SECONDS = 7 * 86_400
AHEAD_SECONDS = 600


class Sitewise(Service):
    name = "iotsitewise"
    paths = {("POST", "/properties"): "BatchPutAssetPropertyValue"}
    content_type = "application/json"
    results_key = "errorEntries"

    def check_totals(self, operation, document):
        problems, ids, times = [], set(), set()
        entries = document["entries"]
        if not 1 <= len(entries) <= ENTRIES_MAX:
            problems.append(f"the call has {len(entries)} entries")
        for entry in entries:
            if entry["entryId"] in ids:
                problems.append(f"two entries are called {entry['entryId']}")
            ids.add(entry["entryId"])
            if ("propertyAlias" in entry) == ("assetId" in entry and "propertyId" in entry):
                problems.append(f"the entry {entry['entryId']} names no property, or in two ways")
            if not 1 <= len(entry["propertyValues"]) <= VALUES_MAX:
                problems.append(f"the entry {entry['entryId']} has {len(entry['propertyValues'])} values")
            for value in entry["propertyValues"]:
                if len(value["value"]) != 1:
                    problems.append(f"a value of {entry['entryId']} has {len(value['value'])} kinds")
                key = (property_of(entry), time_of(value))
                if key in times:
                    problems.append(f"a property and time are twice in the call, the second in {entry['entryId']}")
                times.add(key)
        return problems

    def summary(self, operation, document):
        return property_of(document["entries"][0])[0], len(document["entries"])

    def handle(self, operation, document, fault, now):
        failing = set(fault.get("fail", []))
        code = fault.get("code", "ThrottlingException")
        errors = []
        with self.lock:
            for index, entry in enumerate(document["entries"]):
                late = [value["timestamp"] for value in entry["propertyValues"] if not in_time(value, now)]
                if index in failing:
                    stamps = [value["timestamp"] for value in entry["propertyValues"]]
                    errors.append(error_entry(entry, code, "by order of the test", stamps))
                elif base64.b64encode(entry["entryId"].encode()).decode() in self.poison:
                    errors.append(error_entry(entry, "InvalidRequestException", "by order of the test", []))
                elif late:
                    errors.append(error_entry(entry, "TimestampOutOfRangeException", "too old or ahead of time", late))
                    if document.get("enablePartialEntryProcessing"):
                        kept = [value for value in entry["propertyValues"] if in_time(value, now)]
                        self.store(entry, kept)
                else:
                    self.store(entry, entry["propertyValues"])
        return {"errorEntries": errors}

    def store(self, entry, values):
        if values:
            kept = json.dumps({**entry, "propertyValues": values}, sort_keys=True)
            self.stored.append({"stream": property_of(entry)[0], "data": base64.b64encode(kept.encode()).decode()})


def property_of(entry):
    return (entry.get("propertyAlias", ""), entry.get("assetId", ""), entry.get("propertyId", ""))


def time_of(value):
    return (value["timestamp"]["timeInSeconds"], value["timestamp"].get("offsetInNanos", 0))


def in_time(value, now):
    return now.timestamp() - OLDEST_SECONDS <= time_of(value)[0] <= now.timestamp() + AHEAD_SECONDS


def error_entry(entry, code, message, timestamps):
    return {"entryId": entry["entryId"],
            "errors": [{"errorCode": code, "errorMessage": message, "timestamps": timestamps}]}
