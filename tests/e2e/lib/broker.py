"""Mosquitto on a port of its own, and an independent client (paho) to talk to it."""

import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from certificates import make_certificates
from ports import held_port
from weir_server import DEADLINE_S, eventually


class Broker:
    """One mosquitto. `password`: only user weir with this one; `acl`: lines of its access list;
    `tls`: with certificates, asked of clients too; `lines`: further settings."""

    def __init__(self, password=None, acl=None, tls=False, lines=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-broker-"))
        os.chmod(self.directory, 0o755)
        self.port = held_port()
        self.tls = tls
        self.password = password
        self.process = None
        settings = [f"listener {self.port} 127.0.0.1", "user root", "log_dest none", "set_tcp_nodelay true",
                    "persistence true", f"persistence_location {self.directory}/", *lines]
        if password:
            subprocess.run(["mosquitto_passwd", "-c", "-b", self.directory / "passwords", "weir", password],
                           check=True, capture_output=True)
            settings += ["allow_anonymous false", f"password_file {self.directory / 'passwords'}"]
        else:
            settings.append("allow_anonymous true")
        if acl is not None:
            self.write_acl(acl)
            settings.append(f"acl_file {self.directory / 'acl'}")
        if tls:
            make_certificates(self.directory)
            settings += [f"cafile {self.directory / 'ca.pem'}", f"certfile {self.directory / 'server.pem'}",
                         f"keyfile {self.directory / 'server.key'}", "require_certificate true"]
        (self.directory / "mosquitto.conf").write_text("\n".join(settings) + "\n")
        self.start()

    @property
    def url(self):
        return f"{'mqtts' if self.tls else 'mqtt'}://127.0.0.1:{self.port}"

    def write_acl(self, lines):
        (self.directory / "acl").write_text("\n".join(lines) + "\n")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", str(self.directory / "mosquitto.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "mosquitto does not start"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                return False
        eventually("mosquitto answers", answers)

    def stop(self):
        """In order: sessions and what waits in them are kept."""
        self.process.terminate()
        self.process.wait(30)

    def kill(self):
        """All sessions are lost."""
        self.process.kill()
        self.process.wait(30)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Requester:
    """What an application is for the connector: publishes requests and hears the answers. Its session
    outlives lost connections, so it misses no answer that the broker got."""

    def __init__(self, broker, status="kinesisfirehose/message/status", listen=True, name="requester"):
        self.messages = []  # payloads on the status topic, in order
        self.heard = threading.Condition()
        self.listening = threading.Event()
        self.status = status if listen else None
        self.client = paho.Client(client_id=name, protocol=paho.MQTTv5)
        self.client.max_inflight_messages_set(200)
        if broker.password:
            self.client.username_pw_set("weir", broker.password)
        if broker.tls:
            self.client.tls_set(str(broker.directory / "ca.pem"), str(broker.directory / "device.pem"),
                                str(broker.directory / "device.key"))
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self.connected
        self.client.on_subscribe = lambda *_: self.listening.set()
        self.client.on_message = self.arrived
        self.taken = set()  # what the broker has acknowledged, by paho's numbers
        self.client.on_publish = lambda _client, _data, number: self.taken.add(number)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
        self.client.loop_start()
        if self.status:
            assert self.listening.wait(DEADLINE_S)

    def connected(self, *_):
        if self.status:
            self.client.subscribe(self.status, qos=1)

    def arrived(self, _client, _data, message):
        with self.heard:
            self.messages.append(message.payload)
            self.heard.notify_all()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def publish(self, topic, payload, qos=1, retain=False):
        """Waits until the broker has it, over as many connections as that takes."""
        number = self.client.publish(topic, payload, qos=qos, retain=retain).mid
        eventually("the broker has a message", lambda: number in self.taken)
        self.taken.discard(number)

    def ask(self, request_id, data, arn=None, qos=1, topic="kinesisfirehose/message"):
        request = {"data": data}
        if arn:
            request["delivery_stream_arn"] = arn
        self.publish(topic, json.dumps({"request": request, "id": request_id}), qos=qos)

    def entries(self):
        """All answers so far, one by one, of any version."""
        with self.heard:
            messages = [json.loads(message) for message in self.messages]
        found = []
        for message in messages:
            response = message["response"]
            found += response if isinstance(response, list) else [{**response, "id": message["id"]}]
        return found

    def answers(self, *ids):
        """Waits until each of these was answered; returns the last answer of each by id."""
        wanted = set(ids)
        eventually(f"answers for {sorted(wanted)[:5]} ...",
                   lambda: wanted <= {entry["id"] for entry in self.entries()})
        return {entry["id"]: entry for entry in self.entries() if entry["id"] in wanted}

    def answer(self, request_id):
        return self.answers(request_id)[request_id]

    def times_answered(self):
        return collections.Counter(entry["id"] for entry in self.entries())
