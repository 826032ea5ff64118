"""What schemathesis is told besides the settings."""
import os

import schemathesis


@schemathesis.serializer("application/x-tar", "application/vnd.apache.arrow.stream", "application/x-ndjson")
def raw(ctx, value):
    """Bodies that are no JSON are bytes as they come."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """The key that the test itself has is neither revoked nor rotated."""
    if (case.path_parameters or {}).get("id") == os.environ["SCHEMATHESIS_KEY_ID"]:
        case.path_parameters["id"] = "aaaaaaaa"
