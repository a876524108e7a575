"""GET a URL of a service, signed by botocore, which the AWS SDK for Python is built on.

    AWS_REGION=… python3 sign_botocore.py URL
"""
import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session


class Auth(S3SigV4Auth):
    """Amazon S3's way of signing encodes the path once; the payload is left out here."""

    def payload(self, request):
        return "UNSIGNED-PAYLOAD"


# The session finds credentials as every AWS tool does: environment, profiles, the instance's role.
credentials = Session().get_credentials()
request = AWSRequest(method="GET", url=sys.argv[1], headers={"Host": urlsplit(sys.argv[1]).netloc})
Auth(credentials, "vpc-lattice-svcs", os.environ["AWS_REGION"]).add_auth(request)
try:
    answer = urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=dict(request.headers)))
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.read().decode(), end="")
