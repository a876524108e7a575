"""Signs requests with botocore and with the AWS Common Runtime, and prints what a service receives, as JSON lines.

    pip install botocore awscrt && python3 vectors.py > signers.jsonl
"""
import datetime, json, re
import botocore.auth, botocore.awsrequest, botocore.credentials
from awscrt import auth as crt, http, io

KEY, SECRET, HOST = "AKIDPERGOLA", "pergola-example-secret/with+signs", "parking.example"
AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
REGION, SERVICE = "us-west-2", "vpc-lattice-svcs"
TARGETS = ["/", "//", "//a", "/a//b", "/a//", "//a//b//", "/a%20b//c:d", "/a/b/", "/a/../b", "/a/./b", "/./a", "/a/..",
           "/a?b=c+d", "/a?b=c%2Bd", "/a?b=c%20d", "/a?b+c=d+e&f", "//a?b=c+d", "/a?b=%2f", "/a?z=1&a=2&a=1", "/a?b=c+d&e=f%20g"]


class Frozen(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return cls(2026, 1, 2, 3, 4, 5)

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


class Unsigned(botocore.auth.S3SigV4Auth):
    def _should_sha256_sign_payload(self, request):
        return False


def by_botocore(target, cls):
    request = botocore.awsrequest.AWSRequest("GET", "https://" + HOST + target, headers={"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"})
    request.context["payload_signing_enabled"] = False
    cls(botocore.credentials.Credentials(KEY, SECRET), SERVICE, REGION).add_auth(request)
    return dict(request.headers.items())


def by_crt(target, algorithm, double, normalize):
    request = http.HttpRequest("GET", target, http.HttpHeaders([("Host", HOST)]))
    config = crt.AwsSigningConfig(
        algorithm=algorithm, signature_type=crt.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=crt.AwsCredentialsProvider.new_static(KEY, SECRET), region=REGION, service=SERVICE, date=AT,
        use_double_uri_encode=double, should_normalize_uri_path=normalize, signed_body_value="UNSIGNED-PAYLOAD",
        signed_body_header_type=crt.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256)
    crt.aws_sign_request(request, config).result()
    return dict(request.headers)


def main():
    botocore.auth.datetime.datetime = Frozen
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: AT.replace(tzinfo=None) if remove_tzinfo else AT
    signers = {"botocore SigV4Auth": lambda t: by_botocore(t, botocore.auth.SigV4Auth),
               "botocore S3SigV4Auth": lambda t: by_botocore(t, Unsigned)}
    for name, algorithm in ("V4", crt.AwsSigningAlgorithm.V4), ("V4A", crt.AwsSigningAlgorithm.V4_ASYMMETRIC):
        for double in True, False:
            for normalize in True, False:
                signers[f"CRT {name} double={double} normalize={normalize}"] = (
                    lambda t, a=algorithm, d=double, n=normalize: by_crt(t, a, d, n))
    for signer, sign in signers.items():
        for target in TARGETS:
            headers = {k: v for k, v in sign(target).items() if k.lower() not in ("host",)}
            print(json.dumps({"signer": signer, "target": target, "header": headers}))


main()
