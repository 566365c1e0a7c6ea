"""Verifies AWS Signature Version 4 as a server sees it, in two independent ways: by the rules written
out here, and with botocore's signer. Knows nothing of weir."""

import datetime
import hashlib
import hmac
import re
import urllib.parse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")
# Whatever passes on a request may change these: covering them is asking for trouble.
NEVER_SIGNED = {"authorization", "connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding",
                "upgrade", "user-agent", "x-amzn-trace-id"}
WINDOW_SECONDS = 300


class Refused(Exception):
    """The service would refuse the request with this code."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


def encode(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def canonical_path(path, s3):
    if s3:
        return encode(urllib.parse.unquote_to_bytes(path), "/")
    kept = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    ending = "/" if kept and path.endswith("/") else ""
    return encode("/" + "/".join(kept) + ending, "/")


def canonical_query(query):
    pairs = []
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        pairs.append((encode(urllib.parse.unquote_to_bytes(name)), encode(urllib.parse.unquote_to_bytes(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def by_the_rules(request, signed, secret, date, region, service, payload_hash):
    values = {}
    for name, value in request.headers:
        values.setdefault(name.lower(), []).append(re.sub(r"[ \t]+", " ", value.strip()))
    path, _, query = request.target.partition("?")
    canonical = "\n".join([
        request.method, canonical_path(path, service == "s3"), canonical_query(query),
        *(f"{name}:{','.join(values[name])}" for name in signed), "", ";".join(signed), payload_hash])
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def by_botocore(request, signed, key_id, secret, date, region, service):
    headers = {}
    for name, value in request.headers:
        if name.lower() in signed:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    host = request.header("host")
    aws_request = AWSRequest(request.method, f"http://{host}{request.target}", headers=headers, data=request.body)
    aws_request.context["timestamp"] = date
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials(key_id, secret), service, region)
    canonical = signer.canonical_request(aws_request)
    return signer.signature(signer.string_to_sign(aws_request, canonical), aws_request)


def verify(request, service, region, credentials, now):
    """Returns the list of things a careful client does not do; raises Refused as the service would.

    `credentials` maps key ids to (secret, token or None); `now` is the server's clock, UTC.
    """
    header = request.header("authorization")
    if header is None:
        raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = AUTHORIZATION.fullmatch(header)
    if not match:
        raise Refused("IncompleteSignatureException", "Authorization header is malformed")
    key_id, day, scope_region, scope_service, names, signature = match.groups()
    signed = names.split(";")
    problems = []
    if signed != sorted(set(signed)):
        problems.append("SignedHeaders is not a sorted list of different names")
    present = {name.lower() for name, _ in request.headers}
    for name in signed:
        if name not in present:
            raise Refused("SignatureDoesNotMatch", f"the signed header {name} was not sent", 403)
        if name in NEVER_SIGNED or name.startswith("proxy-"):
            problems.append(f"signs {name}, which intermediaries change")
    for name in present:
        if name not in signed and (name in ("host", "content-type") or name.startswith("x-amz-")):
            problems.append(f"does not sign {name}")
    if (scope_region, scope_service) != (region, service):
        raise Refused("InvalidSignatureException",
                      f"Credential should be scoped to {region}/{service}, not {scope_region}/{scope_service}", 403)
    if key_id not in credentials:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    secret, token = credentials[key_id]
    if request.header("x-amz-security-token") != token:
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    check_time(request, day, now)
    payload_hash = check_payload(request, service)
    date = request.header("x-amz-date")
    rules = by_the_rules(request, signed, secret, date, region, service, payload_hash)
    botocore = by_botocore(request, signed, key_id, secret, date, region, service)
    if rules != botocore:
        problems.append("the two ways to verify disagree: something about this request is ambiguous")
    if signature not in (rules, botocore):
        raise Refused("InvalidSignatureException",
                      "The request signature we calculated does not match the signature you provided.", 403)
    return problems


def check_time(request, day, now):
    date = request.header("x-amz-date") or ""
    if not re.fullmatch(r"\d{8}T\d{6}Z", date) or date[:8] != day:
        raise Refused("IncompleteSignatureException", "X-Amz-Date is missing, malformed or of another day")
    when = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    if (now - when).total_seconds() > WINDOW_SECONDS:
        raise Refused("InvalidSignatureException", f"Signature expired: {date} is now earlier than {stamp}", 403)
    if (when - now).total_seconds() > WINDOW_SECONDS:
        raise Refused("InvalidSignatureException", f"Signature not yet current: {date} is still later than {stamp}", 403)


def check_payload(request, service):
    actual = hashlib.sha256(request.body).hexdigest()
    stated = request.header("x-amz-content-sha256")
    if stated is None:
        if service == "s3":
            raise Refused("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        return actual
    if stated not in (actual, "UNSIGNED-PAYLOAD") or (stated == "UNSIGNED-PAYLOAD" and service != "s3"):
        raise Refused("XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 does not match the body")
    return stated
