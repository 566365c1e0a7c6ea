"""AWS IoT Analytics, which has ended: BatchPutMessage."""

from service import Service
from sigv4_check import Refused

MESSAGES_MAX = 100


class IotAnalytics(Service):
    name = "iotanalytics"
    paths = {("POST", "/messages/batch"): "BatchPutMessage"}
    content_type = "application/json"
    results_key = "batchPutMessageErrorEntries"

    def __init__(self, channels):
        super().__init__()
        self.channels = channels  # None: every channel exists

    def check_totals(self, operation, document):
        ids = [message["messageId"] for message in document["messages"]]
        problems = []
        if not 1 <= len(ids) <= MESSAGES_MAX:
            problems.append(f"the call has {len(ids)} messages")
        if len(set(ids)) != len(ids):
            problems.append("an id is twice in the call")
        return problems

    def summary(self, operation, document):
        return document["channelName"], len(document["messages"])

    def handle(self, operation, document, fault, now):
        name = document["channelName"]
        if self.channels is not None and name not in self.channels:
            raise Refused("ResourceNotFoundException", f"Channel {name} does not exist", 404)
        failing = set(fault.get("fail", []))
        code = fault.get("code", "ThrottlingException")
        errors = []
        with self.lock:
            for index, message in enumerate(document["messages"]):
                if index in failing:
                    errors.append((message, code))
                elif message["payload"] in self.poison:
                    errors.append((message, "InvalidRequestException"))
                else:
                    self.stored.append({"stream": name, "data": message["payload"], "id": message["messageId"]})
        return {"batchPutMessageErrorEntries": [
            {"messageId": message["messageId"], "errorCode": code, "errorMessage": "by order of the test"}
            for message, code in errors]}
