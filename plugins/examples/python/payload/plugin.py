"""A strategy over plain gRPC: it raises the priority of the task that waits longest.

It needs grpcio, protobuf and cryptography and no generated code: the messages come from
contract.binpb, a FileDescriptorSet of plugins/proto. The first part is what any plugin in
Python needs, the second the strategy.
"""

import base64
import datetime
import json
import os
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
from concurrent import futures

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

COOKIE = ("SPMS_PLUGIN", "b5d3f2c8-openspms-plugin-v1")
LIMIT = 4 << 20  # no message is larger


# ---- the contract -------------------------------------------------------------------


def contract():
    """The classes of the messages, by short name."""
    files = descriptor_pb2.FileDescriptorSet()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.binpb"), "rb") as f:
        files.ParseFromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    if hasattr(message_factory, "GetMessageClass"):
        make = message_factory.GetMessageClass
    else:  # protobuf before 4.22
        make = message_factory.MessageFactory(pool).GetPrototype
    out = {}
    for file in files.file:
        for message in file.message_type:
            out[message.name] = make(pool.FindMessageTypeByName(file.package + "." + message.name))
    return out


M = contract()


class Refused(Exception):
    """The other side broke the contract: INVALID_ARGUMENT."""


def parsed(text, kind):
    """JSON of a kind, or Refused; what nests too deep is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise Refused(str(e)) from None
    if not isinstance(value, kind):
        raise Refused("it is no " + kind.__name__)
    return value


# ---- the handshake of go-plugin -----------------------------------------------------


def certificate():
    """A key and a self-signed certificate for this one connection, PEM and DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    usage = dict.fromkeys(("content_commitment", "data_encipherment", "crl_sign", "encipher_only", "decipher_only"), False)
    usage.update(dict.fromkeys(("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign"), True))
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(seconds=30))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, cert.public_bytes(pem), cert.public_bytes(serialization.Encoding.DER)


def outlive(host):
    """Ends the process when its host is gone: a host that was killed cannot say so."""
    while os.getppid() == host:
        time.sleep(1)
    os._exit(0)


def serve(*handlers):
    """Serves on a socket, tells the host where, and ends with it."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit("This is a plugin of OpenSPMS: a host starts it, not a person.")
    threading.Thread(target=outlive, args=(os.getppid(),), daemon=True).start()
    options = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=options)
    # go-plugin asks for the health of "plugin": SERVING is 1 in field 1.
    alive = grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": alive}),) + handlers)
    path = os.path.join(os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp(), "python.sock")
    der = b""
    client = os.environ.get("PLUGIN_CLIENT_CERT")
    if client:  # the host wants both sides to show who they are
        key, cert, der = certificate()
        server.add_secure_port("unix:" + path, grpc.ssl_server_credentials([(key, cert)], client.encode(), True))
    else:
        server.add_insecure_port("unix:" + path)
    server.start()
    print("1|1|unix|%s|grpc|%s" % (path, base64.b64encode(der).decode().rstrip("=")), flush=True)
    server.wait_for_termination()


def handler(service, unary=None, streams=None):
    """The handlers of a service; what breaks the contract becomes a status."""

    def guarded(work):
        def run(request, context):
            try:
                return work(request, context)
            except Refused as e:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(e))

        return run

    def flowing(work):
        def run(requests, context):
            try:
                yield from work(requests, context)
            except Refused as e:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(e))

        return run

    methods = {}
    for name, (request, response, work) in (unary or {}).items():
        methods[name] = grpc.unary_unary_rpc_method_handler(guarded(work), M[request].FromString, M[response].SerializeToString)
    for name, (request, response, work) in (streams or {}).items():
        methods[name] = grpc.stream_stream_rpc_method_handler(flowing(work), M[request].FromString, M[response].SerializeToString)
    return grpc.method_handlers_generic_handler("spms.plugin.v1." + service, methods)


# ---- the strategy -------------------------------------------------------------------

SCHEMA = json.dumps({
    "type": "object",
    "properties": {"minTasks": {"type": "integer", "minimum": 1, "maximum": 1000000, "default": 20, "title": "Tasks below which nothing is concluded"}},
})
SCHEDULE, START, ABORT = 1, 2, 6


class Waiting:
    """Base and Strategy of the plugin."""

    def __init__(self):
        self.lock = threading.Lock()
        self.configs = {0: {}}  # generation -> configuration
        self.running = 0

    def describe(self, request, context):
        return M["DescribeResponse"](name="longest-wait", version="1.0.0", kinds=[1], contract_version=1, config_schema_json=SCHEMA)

    def configure(self, request, context):
        found = self.check(request.config_json or "{}")
        if not found:
            with self.lock:
                self.configs[request.generation] = json.loads(request.config_json or "{}")
                for old in [g for g in self.configs if g][:-64]:  # 0 stays, and the 64 latest
                    del self.configs[old]
        return M["ConfigureResponse"](diagnostics=found)

    def check(self, text):
        """What is wrong with a configuration, with the place."""
        say = lambda path, code, message: [M["Diagnostic"](path=path, code=code, message=message, severity=1)]
        try:
            config = parsed(text, dict)
        except Refused as e:
            return say("$", "CONFIG_TYPE", str(e))
        for name, value in config.items():
            if name != "minTasks":
                return say("$." + name, "CONFIG_UNKNOWN", "there is no such setting")
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000000:
                return say("$.minTasks", "CONFIG_TYPE", "a whole number from 1 to 1000000 is wanted")
        return []

    def health(self, request, context):
        with self.lock:
            return M["HealthResponse"](ready=True, in_flight=self.running)

    def propose(self, requests, context):
        with self.lock:
            self.running += 1
        try:
            yield from self.run(requests, context)
        finally:
            with self.lock:
                self.running -= 1

    def run(self, requests, context):
        def receive(part):
            """The next message, which must be of that part."""
            message = next(requests, None)
            if message is None or message.WhichOneof("message") != part:
                raise Refused("a message other than " + part)
            return getattr(message, part)

        header = receive("header")
        if not header.run_id or not header.base_digest:
            raise Refused("the header names no run or no base")
        with self.lock:
            config = self.configs.get(header.config_generation)
        if config is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the configuration is not known")
        snapshot = receive("snapshot")
        try:
            xml.etree.ElementTree.fromstring(snapshot.bpmn_xml)
        except xml.etree.ElementTree.ParseError as e:
            raise Refused("the process is no XML: %s" % e) from None
        parsed(snapshot.pools_json or "[]", list)
        parsed(snapshot.standards_json or "[]", list)
        parsed(snapshot.statistics_json or "{}", dict)

        waits = yield from self.measure(requests)
        proposals = questions = 0
        waits = {node: w for node, w in waits.items() if w[0] >= config.get("minTasks", 20)}
        if not waits:
            yield M["FromStrategy"](progress=M["Progress"](permille=1000, message="日志太短 · the log is too short"))
        else:
            node = min(waits, key=lambda n: (-waits[n][1] / waits[n][0], n))  # equals do not depend on chance
            edits = json.dumps([{"op": "setPriority", "id": node, "value": "80"}])
            questions = 1
            yield M["FromStrategy"](evaluate=M["Evaluate"](question=1, edits_json=edits))
            answer = receive("answer")
            if answer.question != 1:
                raise Refused("the answer is to another question")
            if answer.accepted:
                proposals = 1
                tasks, total = waits[node]
                yield M["FromStrategy"](proposal=M["Proposal"](
                    base_digest=header.base_digest, title_zh="优先处理等待最久的任务", title_en="Serve first what waits longest",
                    edits_json=edits, claims=answer.figures,
                    rationale="%s: %d tasks waited %.1f minutes on average." % (node, tasks, total / tasks / 60e6),
                ))
        yield M["FromStrategy"](done=M["Done"](proposals=proposals, questions=questions))

    def measure(self, requests):
        """Reads the log: node -> tasks begun and how long they waited, in microseconds."""
        waits, offered, events = {}, {}, 0
        for message in requests:
            part = message.WhichOneof("message")
            if part == "end_of_log":
                if message.end_of_log.events != events:
                    raise Refused("the log is not whole")
                return waits
            if part != "events":
                raise Refused("in the log there was neither a batch nor its end")
            for e in message.events.events:
                events += 1
                key = (e.case, e.node)
                if e.lifecycle == SCHEDULE:
                    offered[key] = e.time_us
                elif e.lifecycle == START:
                    w = waits.setdefault(e.node, [0, 0])
                    w[0] += 1
                    w[1] += e.time_us - offered.pop(key, e.time_us)
                elif e.lifecycle == ABORT:
                    offered.pop(key, None)
        raise Refused("the host ended the stream too early")
        yield  # makes it a generator, as run is


if __name__ == "__main__":
    plugin = Waiting()
    serve(
        handler("Base", unary={
            "Describe": ("DescribeRequest", "DescribeResponse", plugin.describe),
            "Configure": ("ConfigureRequest", "ConfigureResponse", plugin.configure),
            "Health": ("HealthRequest", "HealthResponse", plugin.health),
        }),
        handler("Strategy", streams={"Propose": ("ToStrategy", "FromStrategy", plugin.propose)}),
    )
