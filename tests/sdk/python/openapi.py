"""The gateway's OpenAPI document is one, and has what clients look for."""

import json
import os
import urllib.request

from openapi_spec_validator import validate

with urllib.request.urlopen(os.environ["GATEWAY"] + "/openapi.json") as answer:
    document = json.load(answer)
validate(document)
for path in ["/v1/chat/completions", "/key/generate", "/credentials/{credential_name}"]:
    assert path in document["paths"], path
