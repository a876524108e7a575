"""GET a URL of a service, signed with SigV4. Standard library only.

    AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=… python3 sign.py URL
"""
import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from urllib.parse import quote, unquote_plus, urlsplit

SERVICE = "vpc-lattice-svcs"


def sign(method, url, headers):
    """Add a signature of now to the headers."""
    region, key_id = os.environ["AWS_REGION"], os.environ["AWS_ACCESS_KEY_ID"]
    parts = urlsplit(url)
    at = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": parts.netloc, "x-amz-date": at, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    if os.environ.get("AWS_SESSION_TOKEN"):
        signed["x-amz-security-token"] = os.environ["AWS_SESSION_TOKEN"]
    names = ";".join(sorted(signed))
    fields = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = "\n".join([method, parts.path or "/", query(parts.query), fields, names, "UNSIGNED-PAYLOAD"])
    scope = f"{at[:8]}/{region}/{SERVICE}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    headers.update(signed)
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, "
                                f"SignedHeaders={names}, Signature={mac(key, to_sign).hex()}")


def query(raw):
    """The parameters in canonical spelling and order."""
    pairs = [pair.partition("=") for pair in raw.split("&") if pair]
    encoded = sorted((encode(name), encode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def encode(text):
    return quote(unquote_plus(text), safe="-_.~")


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


if __name__ == "__main__":
    headers = {}
    sign("GET", sys.argv[1], headers)
    try:
        answer = urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers))
    except urllib.error.HTTPError as refused:
        answer = refused
    print(answer.status, answer.read().decode(), end="")
